"""Tables of the registry: data sets with versions and reads, uploaded archives, artifacts, models."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Base, Record


class Dataset(Record):
    """A data set: a folder below the data root, or the artifact of a fetch run."""

    __tablename__ = "datasets"

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

    __table_args__ = (CheckConstraint("(folder IS NULL) <> (run_id IS NULL)", name="one_place"),)


class DatasetVersion(Record):
    """One content of a data set, found by a survey, or by the fetch run that unpacked it."""

    __tablename__ = "dataset_versions"

    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(comment="digest of the manifest")
    files: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger, comment="bytes of all files")
    survey: Mapped[dict[str, Any] | None] = mapped_column(
        "found", JSON(none_as_null=True), comment="SurveyResult of the newest survey of this content"
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
    checked_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), comment="when the newest survey found this content"
    )

    __table_args__ = (UniqueConstraint("dataset_id", "number"),)


class DatasetRead(Base):
    """The content of a data set that a run read. It outlives the data set, so that the run stays readable.

    ``version`` is set only if that version has this digest.
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


class Upload(Record):
    """An uploaded archive, stored by its SHA-256; a run unpacks it."""

    __tablename__ = "uploads"

    name: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))


class UploadReservation(Base):
    """Bytes of its user's quota that an upload under way has reserved."""

    __tablename__ = "upload_reservations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime]


class Artifact(Record):
    """A file or folder made by a run, stored by SHA-256."""

    __tablename__ = "artifacts"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int]
    folder: Mapped[bool]
    manifest: Mapped[list[Any]] = mapped_column(deferred=True)

    __table_args__ = (UniqueConstraint("run_id", "name"),)


class Model(Record):
    """A predictor that serves predictions."""

    __tablename__ = "models"

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

    __table_args__ = (
        Index("uq_models_one_default", "default", unique=True, postgresql_where=text('"default"')),
    )
