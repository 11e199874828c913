"""Tables of upkeep: objects of the storage that are to be removed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Base, insert_time


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
