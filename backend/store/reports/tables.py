"""Tables of reports: saved ablations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    ForeignKey,
    String,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Record


class Ablation(Record):
    """A baseline evaluation and its one-factor differences."""

    __tablename__ = "ablations"

    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    baseline_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    # JSON, not JSONB: the order of the points is the user's.
    changes: Mapped[list[Any]] = mapped_column(JSON)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
