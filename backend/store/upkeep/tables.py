"""Tables of upkeep: objects of the storage that are to be removed, and removals of posts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Base, Record, insert_time


class Garbage(Base):
    """An object of the storage that no row names any more: it is removed once it is due.

    ``removing`` is committed before the object is removed, so that a pass that was killed is continued. ``removed``
    stays for some days, so that a worker that still relied on the object notices.
    """

    __tablename__ = "garbage"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(16), server_default="marked")
    due_at: Mapped[datetime] = insert_time()

    __table_args__ = (
        CheckConstraint("state IN ('marked', 'removing', 'removed')", name="state"),
        Index("ix_garbage_due_at", "due_at", postgresql_where=text("state != 'removed'")),
    )


class Removal(Record):
    """Posts that are removed for good. The ids stay, so that a restored backup does not bring the posts back."""

    __tablename__ = "removals"

    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    applied_at: Mapped[datetime | None] = mapped_column(comment="null: only listed, nothing was removed")
    finished_at: Mapped[datetime | None]
    posts: Mapped[list[str]] = mapped_column(ARRAY(Text))
    state: Mapped[str] = mapped_column(String(16), server_default="listing")
    progress: Mapped[str] = mapped_column(server_default="")
    findings: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    left: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    error: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        CheckConstraint("state IN ('listing', 'listed', 'removing', 'removed', 'failed')", name="state"),
    )


class ClearedCache(Base):
    """A worker that has cleared its caches since a removal."""

    __tablename__ = "cleared_caches"

    removal_id: Mapped[UUID] = mapped_column(ForeignKey("removals.id", ondelete="CASCADE"), primary_key=True)
    worker: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = insert_time()
