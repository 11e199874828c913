"""The outbox: messages to Celery, written in the transaction that queues a run and published after its commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from backend.store.runs.tables import Outbox, Run

Publish = Callable[[str, UUID, str], None]
"""(task, argument, queue) → None; raises if the broker does not respond."""

CHANNEL = "vise_outbox"
"""PostgreSQL channel that wakes the dispatcher."""
RUN_TASK = "worker.execute_run"
"""Celery task by which a worker claims and runs a queued run."""
BATCH = 200
"""Messages published in one transaction."""
PUBLISH_SECONDS = 2.0
"""Time after which a transaction publishes no more: a slow broker must not keep it open until the server ends it, which
would publish the same messages again and again."""


def add(db: Session, messages: Iterable[tuple[str, UUID]], queue: str, delay: float = 0) -> None:
    """Write (task, argument) messages for a queue, due after ``delay`` seconds, and wake the dispatcher at commit."""
    # Read first: SQLAlchemy writes rows with an expression one by one.
    due = db.execute(select(func.now() + timedelta(seconds=delay))).scalar_one()
    rows = [
        {"task": task, "argument": argument, "queue": queue, "due_at": due} for task, argument in messages
    ]
    if rows:
        db.execute(insert(Outbox), rows)
    db.execute(text(f"NOTIFY {CHANNEL}"))


def enqueue(db: Session, run: Run, delay: float = 0) -> None:
    """Write the message by which a worker claims this queued run, due after ``delay`` seconds."""
    add(db, [(RUN_TASK, run.id)], run.queue, delay)


def publish_due(db: Session, publish: Publish) -> bool:
    """Publish and delete up to ``BATCH`` messages, oldest first; return whether others may be due.

    Messages are published before the commit: a crash in between publishes one twice, which does no harm, and never
    loses one. Several dispatchers may run at once: each locks its rows.
    """
    due = select(Outbox).where(Outbox.due_at <= func.now()).order_by(Outbox.id).limit(BATCH)
    rows = db.scalars(due.with_for_update(skip_locked=True)).all()
    until = time.monotonic() + PUBLISH_SECONDS
    published = []
    for row in rows:
        publish(row.task, row.argument, row.queue)
        published.append(row.id)
        if time.monotonic() > until:
            break
    if published:
        db.execute(delete(Outbox).where(Outbox.id.in_(published)))
    return len(rows) == BATCH or len(published) < len(rows)
