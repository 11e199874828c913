"""The outbox: what must be announced to Celery, written in the transaction that decided it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.store.tables import Outbox

Publish = Callable[[str, UUID, str], None]
"""(task, argument, queue) → sent; raises where the broker does not answer."""


MOST = 200
"""Messages in one transaction."""


def publish_due(db: Session, publish: Publish) -> int:
    """Send what waits, oldest first, and forget it; returns how many were sent: fewer than ``MOST``, and that was all.

    Sent before the commit: a crash in between sends a message twice, which does no harm, and never loses one.
    Several dispatchers may run at once: each takes rows that no other holds.
    """
    rows = db.scalars(select(Outbox).order_by(Outbox.id).limit(MOST).with_for_update(skip_locked=True)).all()
    for row in rows:
        publish(row.task, row.argument, row.queue)
    if rows:
        db.execute(delete(Outbox).where(Outbox.id.in_([row.id for row in rows])))
    return len(rows)
