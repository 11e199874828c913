"""The tables. Ids are UUIDv7: their order is the order of creation, so lists page by id."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Types and names that all tables share."""

    type_annotation_map = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        dict[str, float]: JSONB,
        list[Any]: JSONB,
        str: Text,
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _id() -> Mapped[UUID]:
    return mapped_column(primary_key=True, server_default=text("uuidv7()"))


def _now() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


class User(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = _id()
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None] = mapped_column(comment="argon2; null: no password login")
    role: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = _now()

    __table_args__ = (CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role"),)


class Token(Base):
    """A bearer token or a one-time login code; only its SHA-256 is kept."""

    __tablename__ = "tokens"

    id: Mapped[UUID] = _id()
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(server_default="")
    role: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = _now()
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    __table_args__ = (CheckConstraint("kind IN ('session', 'api', 'login-code')", name="kind"),)


class LoginAttempt(Base):
    """Failed logins, for the rate limit."""

    __tablename__ = "login_attempts"

    id: Mapped[UUID] = _id()
    email: Mapped[str]
    address: Mapped[str]
    at: Mapped[datetime] = _now()

    __table_args__ = (Index(None, "email", "at"), Index(None, "address", "at"))


class Dataset(Base):
    """A folder below the data root, or what a run of the stage fetch brought in."""

    __tablename__ = "datasets"

    id: Mapped[UUID] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    folder: Mapped[str | None] = mapped_column(comment="relative to the data root")
    run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("runs.id", ondelete="RESTRICT"), comment="the run whose artifact data it is"
    )
    survey_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"), comment="the run that looked through it"
    )
    source: Mapped[str] = mapped_column(server_default="", comment="the upload's name, or the address")
    description: Mapped[str] = mapped_column(server_default="")
    synthetic: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = _now()

    __table_args__ = (CheckConstraint("(folder IS NULL) <> (run_id IS NULL)", name="one_place"),)


class DatasetVersion(Base):
    """One content of a data set, as a survey (or, of an archive, the run that unpacked it) found it."""

    __tablename__ = "dataset_versions"

    id: Mapped[UUID] = _id()
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    number: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(
        comment="digest of the manifest; null: from before it was kept"
    )
    files: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger, comment="bytes of all files")
    found: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True), comment="SurveyResult of the newest survey of this content"
    )
    run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"), comment="the run that first found this content"
    )
    survey_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"), comment="the newest run that found this content"
    )
    listing: Mapped[bytes | None] = mapped_column(
        deferred=True, comment="paths with size and times (vise_core.files.listing); null: not known"
    )
    created_at: Mapped[datetime] = _now()
    checked_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), comment="when the newest survey found this content"
    )

    __table_args__ = (UniqueConstraint("dataset_id", "number"),)


class DatasetRead(Base):
    """What a run read of a data set. It outlives the data set: the run stays readable.

    ``version`` is set only where the digest of what was read is that of the version.
    """

    __tablename__ = "dataset_reads"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[UUID] = mapped_column(comment="no foreign key: the data set may be removed")
    name: Mapped[str] = mapped_column(comment="of the data set, when the run was created")
    sha256: Mapped[str | None] = mapped_column(comment="digest of what was read; null: not read yet")
    version: Mapped[int | None] = mapped_column(comment="the version with this digest")
    newest: Mapped[int | None] = mapped_column(comment="the newest version when it was read")
    listing: Mapped[bytes | None] = mapped_column(
        deferred=True, comment="of a survey under way: the folder as it was before it was hashed"
    )

    __table_args__ = (Index(None, "dataset_id", "run_id"),)


class Upload(Base):
    """A file that somebody sent; its bytes lie in storage. A run unpacks it."""

    __tablename__ = "uploads"

    id: Mapped[UUID] = _id()
    name: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = _now()


class Audit(Base):
    """Who changed what, written in the transaction of the change."""

    __tablename__ = "audit"

    id: Mapped[UUID] = _id()
    at: Mapped[datetime] = _now()
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    email: Mapped[str] = mapped_column(server_default="", comment="as it was then")
    action: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    target_id: Mapped[UUID | None]
    target: Mapped[str] = mapped_column(server_default="", comment="its name, as it was then")
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, server_default=text("'{}'"))

    __table_args__ = (Index(None, "kind", "id"), Index(None, "email", "id"), Index(None, "target_id"))


class Run(Base):
    """One stage, or the parent of a recipe or sweep."""

    __tablename__ = "runs"

    id: Mapped[UUID] = _id()
    kind: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    step: Mapped[str | None]
    position: Mapped[int] = mapped_column(server_default=text("0"), comment="order among siblings")
    depends_on: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    synthetic: Mapped[bool] = mapped_column(server_default=text("false"))
    queue: Mapped[str] = mapped_column(String(32))
    # JSON, not JSONB: the order of a recipe's steps and of a sweep's grid means something.
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    inputs: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    headline: Mapped[dict[str, float]] = mapped_column(JSON, server_default=text("'{}'"))
    error: Mapped[str | None]
    progress: Mapped[dict[str, Any] | None]
    checkpoint: Mapped[str | None] = mapped_column(comment="manifest digest of the state to resume from")
    token: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), comment="fencing token")
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = _now()
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    notes: Mapped[str] = mapped_column(server_default="", comment="Markdown")
    starred: Mapped[bool] = mapped_column(server_default=text("false"))
    archived: Mapped[bool] = mapped_column(server_default=text("false"))
    group_key: Mapped[str | None] = mapped_column(comment="digest of all but seed and splits")
    replicate: Mapped[str | None] = mapped_column(comment="digest of seed and splits")
    asked: Mapped[int] = mapped_column(
        server_default=text("1"), comment="replicates of its group that were asked for together with it"
    )

    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting','queued','running','cancelling','pausing','paused',"
            "'succeeded','failed','cancelled')",
            name="state",
        ),
        CheckConstraint("kind IN ('stage', 'recipe', 'sweep')", name="kind"),
        Index(None, "parent_id", "position"),
        Index("ix_runs_top", "id", postgresql_where=text("parent_id IS NULL")),
        Index(
            "ix_runs_live",
            "state",
            postgresql_where=text("state IN ('waiting','queued','running','cancelling','pausing','paused')"),
        ),
        Index("ix_runs_depends_on", "depends_on", postgresql_using="gin"),
        Index("ix_runs_tags", "tags", postgresql_using="gin"),
        # One for each order of the list, so that a page costs the same at 100,000 runs.
        Index("ix_runs_name_id", "name", "id"),
        Index("ix_runs_state_id", "state", "id"),
        Index("ix_runs_stage_id", text("coalesce(stage, '')"), "id"),
        # Holds all that gathering groups reads of a run, so that the wide rows are left alone.
        Index("ix_runs_group", "group_key", "replicate", "state", "id", "asked", "archived"),
    )


class RunParam(Base):
    """One leaf of a run's spec, by its dotted path; a list has a row for each of its values."""

    __tablename__ = "run_params"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(comment="cut at 200 characters")
    number: Mapped[float | None] = mapped_column(Double)

    __table_args__ = (Index(None, "path", "number", "run_id"), Index(None, "path", "text", "run_id"))


class SavedView(Base):
    """A way to look at the runs: a query with columns, order and grouping, under a name."""

    __tablename__ = "saved_views"

    id: Mapped[UUID] = _id()
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    shared: Mapped[bool] = mapped_column(server_default=text("false"))
    look: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (UniqueConstraint("owner_id", "name"),)


class RunEvent(Base):
    __tablename__ = "run_events"

    id: Mapped[UUID] = _id()
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = _now()
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(server_default="")


class RunLog(Base):
    __tablename__ = "run_logs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    at: Mapped[datetime] = _now()
    level: Mapped[str] = mapped_column(String(16))
    message: Mapped[str]

    __table_args__ = (Index(None, "run_id", "id"),)


class MetricPoint(Base):
    """History: one value of one curve. The key makes a repeated write harmless.

    No foreign key: to look up the run of each point would be half the cost of writing it, and who writes holds the
    run's row anyway. A trigger deletes the points with the run.
    """

    __tablename__ = "metric_points"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    value: Mapped[float] = mapped_column(Double)
    epoch: Mapped[float | None] = mapped_column(Double)
    at: Mapped[datetime] = _now()

    __table_args__ = (
        # Almost empty: charts find what is not a finite number without reading the history.
        Index(
            "ix_metric_points_not_finite",
            "run_id",
            "key",
            "step",
            postgresql_where=text("value IN ('NaN', 'Infinity', '-Infinity')"),
        ),
    )


class MetricChunk(Base):
    """What 64 points of a curve come to: of those numbers 64 n to 64 n + 63 in the order of steps, chunk n.

    A row is written when its points are all there. Those after the last whole chunk, fewer than 64, have none.
    """

    __tablename__ = "metric_chunks"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    chunk: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_step: Mapped[int] = mapped_column(BigInteger)
    low: Mapped[float] = mapped_column(Double)
    low_step: Mapped[int] = mapped_column(BigInteger)
    high: Mapped[float] = mapped_column(Double)
    high_step: Mapped[int] = mapped_column(BigInteger)


class MetricLatest(Base):
    """What lists show of a curve, so that they never read the history: one row a run and metric.

    ``step`` and ``value`` are those of the highest step, null for a number that has no curve. ``final`` is the
    number of the run's result, and ``finals`` what it is the mean of, one value a split.
    """

    __tablename__ = "metric_latest"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int | None] = mapped_column(BigInteger)
    value: Mapped[float | None] = mapped_column(Double)
    final: Mapped[float | None] = mapped_column(Double)
    finals: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    min: Mapped[float | None] = mapped_column(Double)
    min_step: Mapped[int | None] = mapped_column(BigInteger)
    max: Mapped[float | None] = mapped_column(Double)
    max_step: Mapped[int | None] = mapped_column(BigInteger)
    at_best: Mapped[float | None] = mapped_column(Double, comment="value where validation is best")

    __table_args__ = (Index("ix_metric_latest_key", "key", text("coalesce(final, value)"), "run_id"),)


class Artifact(Base):
    """A whole file or folder; its bytes lie in storage under their SHA-256."""

    __tablename__ = "artifacts"

    id: Mapped[UUID] = _id()
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int]
    folder: Mapped[bool]
    manifest: Mapped[list[Any]] = mapped_column(deferred=True)
    created_at: Mapped[datetime] = _now()

    __table_args__ = (UniqueConstraint("run_id", "name"),)


class Outbox(Base):
    """Messages to announce to Celery, written in the transaction that queues a run."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    task: Mapped[str]
    argument: Mapped[UUID]
    queue: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = _now()


class Model(Base):
    """A predictor people may use."""

    __tablename__ = "models"

    id: Mapped[UUID] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="RESTRICT"))
    artifact_id: Mapped[UUID] = mapped_column(ForeignKey("artifacts.id", ondelete="RESTRICT"))
    method: Mapped[str]
    task: Mapped[str]
    backbone: Mapped[str]
    classes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    headline: Mapped[dict[str, float]] = mapped_column(JSON)
    synthetic: Mapped[bool]
    default: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = _now()

    __table_args__ = (
        Index("uq_models_one_default", "default", unique=True, postgresql_where=text('"default"')),
    )


class Prediction(Base):
    """A question to a model and its answer. Pictures are forgotten after a while (``predictions.forget``)."""

    __tablename__ = "predictions"

    id: Mapped[UUID] = _id()
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    batch: Mapped[UUID | None] = mapped_column(comment="images and models that were asked together")
    position: Mapped[int] = mapped_column(server_default=text("0"), comment="which image of the batch")
    keep: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="the user wants thumbnail and digest in the history"
    )
    synthetic: Mapped[bool] = mapped_column(server_default=text("false"), comment="the image is generated")
    upload: Mapped[str | None] = mapped_column(
        comment="key of the upload in the storage, until it is answered"
    )
    predicted: Mapped[str | None]
    target: Mapped[str | None]
    probabilities: Mapped[dict[str, float]] = mapped_column(JSON, server_default=text("'{}'"))
    overlay: Mapped[bytes | None] = mapped_column(deferred=True, comment="PNG; until forgotten")
    heat: Mapped[bytes | None] = mapped_column(deferred=True, comment="grey PNG; until forgotten")
    region: Mapped[list[float] | None] = mapped_column(
        ARRAY(Double), comment="what the network saw: left, top, right, bottom in shares of the image"
    )
    picture: Mapped[bytes | None] = mapped_column(
        deferred=True, comment="upright JPEG without metadata, for the page; until forgotten"
    )
    thumbnail: Mapped[bytes | None] = mapped_column(deferred=True, comment="small JPEG, where kept")
    sha256: Mapped[str | None] = mapped_column(comment="of the upload, where kept")
    error: Mapped[str | None]
    milliseconds: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime] = _now()
    taken_at: Mapped[datetime | None] = mapped_column(comment="when a worker took it up, which happens once")

    __table_args__ = (
        CheckConstraint("state IN ('queued', 'succeeded', 'failed')", name="state"),
        Index("ix_predictions_queued", "created_at", postgresql_where=text("state = 'queued'")),
        Index(None, "created_by", "id"),
        Index(None, "batch", postgresql_where=text("batch IS NOT NULL")),
        Index("ix_predictions_pictured", "created_at", postgresql_where=text("overlay IS NOT NULL")),
    )


class Feedback(Base):
    """A label that a person gave to an image that a model was asked about: the picture is kept with it."""

    __tablename__ = "feedback"

    id: Mapped[UUID] = _id()
    prediction_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("predictions.id", ondelete="SET NULL"), unique=True
    )
    task: Mapped[str]
    label: Mapped[str]
    predicted: Mapped[str]
    model: Mapped[str] = mapped_column(comment="its name then")
    picture: Mapped[bytes] = mapped_column(deferred=True, comment="upright JPEG without metadata")
    sha256: Mapped[str] = mapped_column(comment="of the picture: the same image twice is one")
    synthetic: Mapped[bool]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = _now()

    __table_args__ = (Index(None, "task", "id"),)


class Engagement(Base):
    """A question to a pretrained model: which comments and reactions it expects of an image."""

    __tablename__ = "engagement"

    id: Mapped[UUID] = _id()
    checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"), index=True)
    inspection_id: Mapped[UUID | None] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    upload: Mapped[str | None] = mapped_column(
        comment="key of the upload in the storage, until it is answered"
    )
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None]
    milliseconds: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)

    __table_args__ = (CheckConstraint("state IN ('queued', 'succeeded', 'failed')", name="state"),)


class Worker(Base):
    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text))
    device: Mapped[str]
    started_at: Mapped[datetime] = _now()
    heartbeat_at: Mapped[datetime] = _now()
    run_id: Mapped[UUID | None]


class Ablation(Base):
    """A baseline evaluation and its one-factor differences."""

    __tablename__ = "ablations"

    id: Mapped[UUID] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    baseline_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    # JSON, not JSONB: the order of the points is the user's.
    changes: Mapped[list[Any]] = mapped_column(JSON)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = _now()
