"""Tables of runs: their rows, parameters, events, logs, saved views, the outbox and the workers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Base, Record, insert_time, primary_key


class Run(Record):
    """A run of one stage, or the parent run of a recipe or sweep."""

    __tablename__ = "runs"

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
    earlier_checkpoints: Mapped[list[str]] = mapped_column(
        ARRAY(Text),
        server_default=text("'{}'"),
        comment="states before that one, newest first, for when it is damaged or gone",
    )
    token: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), comment="fencing token")
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    max_hours: Mapped[float | None] = mapped_column(Double, comment="time limit of an attempt")
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    notes: Mapped[str] = mapped_column(server_default="", comment="Markdown")
    starred: Mapped[bool] = mapped_column(server_default=text("false"))
    archived: Mapped[bool] = mapped_column(server_default=text("false"))
    group_key: Mapped[str | None] = mapped_column(comment="digest of all but seed and splits")
    replicate: Mapped[str | None] = mapped_column(comment="digest of seed and splits")
    requested: Mapped[int] = mapped_column(
        server_default=text("1"), comment="replicates of the group that were requested together"
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
        Index("ix_runs_group", "group_key", "replicate", "state", "id", "requested", "archived"),
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


class RunEvent(Base):
    """A change of a run's state."""

    __tablename__ = "run_events"

    id: Mapped[UUID] = primary_key()
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = insert_time()
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(server_default="")


class RunLog(Base):
    """A line of a run's log."""

    __tablename__ = "run_logs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    at: Mapped[datetime] = insert_time()
    level: Mapped[str] = mapped_column(String(16))
    message: Mapped[str]

    __table_args__ = (Index(None, "run_id", "id"),)


class SavedView(Record):
    """A named state of the run list: query, columns, order and grouping."""

    __tablename__ = "saved_views"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    shared: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[dict[str, Any]] = mapped_column(JSON)
    updated_at: Mapped[datetime] = insert_time()

    __table_args__ = (UniqueConstraint("owner_id", "name"),)


class Outbox(Base):
    """A message to publish to Celery, written in the transaction that queues a run."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    task: Mapped[str]
    argument: Mapped[UUID]
    queue: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = insert_time()
    due_at: Mapped[datetime] = insert_time()


class Worker(Base):
    """A worker process and its last heartbeat."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text))
    device: Mapped[str]
    started_at: Mapped[datetime] = insert_time()
    heartbeat_at: Mapped[datetime] = insert_time()
    run_id: Mapped[UUID | None]
    hears: Mapped[bool] = mapped_column(
        server_default=text("true"), comment="its own messages come back to it through the broker"
    )
    version: Mapped[str] = mapped_column(server_default="", comment="of the program that it runs")
    revision: Mapped[str] = mapped_column(server_default="", comment="of the tables that it knows")


class Dispatcher(Base):
    """A dispatcher process and its last heartbeat."""

    __tablename__ = "dispatchers"

    name: Mapped[str] = mapped_column(primary_key=True)
    heartbeat_at: Mapped[datetime] = insert_time()
    broker: Mapped[bool] = mapped_column(comment="whether the broker responded to it")
