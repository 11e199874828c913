"""Tables of serving: predictions, feedback and engagement predictions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    String,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Base, Record, primary_key


class Prediction(Record):
    """A prediction of a model for an image. Its pictures expire (``predictions.expire``)."""

    __tablename__ = "predictions"

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
    claimed_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(comment="worker; if it dies, the claim is void")

    __table_args__ = (
        CheckConstraint("state IN ('queued', 'succeeded', 'failed')", name="state"),
        Index("ix_predictions_queued", "created_at", postgresql_where=text("state = 'queued'")),
        Index(None, "created_by", "id"),
        Index(None, "batch", postgresql_where=text("batch IS NOT NULL")),
        Index("ix_predictions_pictured", "created_at", postgresql_where=text("overlay IS NOT NULL")),
    )


class Feedback(Record):
    """A label that a user gave to the image of a prediction. The picture is kept with it."""

    __tablename__ = "feedback"

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

    __table_args__ = (Index(None, "task", "id"),)


class Engagement(Base):
    """A prediction of the comments and reactions of an image by a pretrained model."""

    __tablename__ = "engagement"

    id: Mapped[UUID] = primary_key()
    checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"), index=True)
    inspection_id: Mapped[UUID | None] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    upload: Mapped[str | None] = mapped_column(
        comment="key of the upload in the storage, until it is answered"
    )
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None]
    milliseconds: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    claimed_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(comment="worker; if it dies, the claim is void")

    __table_args__ = (CheckConstraint("state IN ('queued', 'succeeded', 'failed')", name="state"),)
