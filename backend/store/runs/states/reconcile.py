"""The reconciler: requeues runs with an expired lease, republishes lost messages and removes what has expired."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, exists, func, select, text
from sqlalchemy.orm import Session

from backend.store.accounts.tables import LoginAttempt, RequestKey, Token
from backend.store.database import Sessions
from backend.store.runs.tables import Outbox, Run, Worker
from backend.store.serving import engagement, predictions
from backend.store.serving.tables import Engagement, Prediction
from vise_client.schemas.run_states import RunState

from .attempts import Failure, RetryPolicy, retry_or_fail
from .finish import requeue_run
from .outbox import enqueue
from .transition import HELD

BATCH = 500
"""Messages that one call writes again."""
EXPIRED = 100
"""Runs with an expired lease that one call handles: each takes some milliseconds, and all stay locked until the end."""


@dataclass(frozen=True)
class ReconcileResult:
    """What one call of ``reconcile`` changed."""

    requeued: int = 0
    failed: int = 0
    republished: int = 0
    predictions_failed: int = 0
    predictions_republished: int = 0
    locked: int = 0
    """Runs with an expired lease that could not be taken back, as another transaction has locked them."""
    more: bool = False
    """Whether further leases may have expired, for the next call."""


HOLDERS = text(
    "SELECT pid, application_name, state, now() - xact_start FROM pg_stat_activity "
    "WHERE datname = current_database() AND xact_start < now() - interval '5 s' AND pid != pg_backend_pid()"
)


def lock_holders(db: Session) -> str:
    """Return the transactions that have been open for long, of which one may lock a run, for a message."""
    rows = db.execute(HOLDERS).all()
    return "; ".join(f"pid {pid} ({name}, {state}) for {age}" for pid, name, state, age in rows) or "none"


def reconcile(
    db: Session,
    *,
    retries: RetryPolicy,
    republish_seconds: float,
    prediction_timeout_seconds: float,
    in_broker: Collection[UUID] | None = frozenset(),
    settled: bool = True,
) -> ReconcileResult:
    """Repair what dead processes left behind; safe at any time and in several processes at once.

    ``in_broker``: ids of the runs and predictions whose messages the broker holds, as ``read_broker`` returns them;
    None if they are not known. What is queued for long and is not among them has lost its message, or a worker without
    a database holds it. ``settled``: workers have had time to renew their leases since the database came back.
    """
    requeued, failed, locked = _handle_expired_leases(db, retries) if settled else (0, 0, 0)
    more = requeued + failed == EXPIRED

    def lost(queued: Sequence[UUID]) -> list[UUID]:
        return [] if in_broker is None else [each for each in queued if each not in in_broker][:BATCH]

    republished = _republish(db, republish_seconds, lost)
    timeout = timedelta(seconds=prediction_timeout_seconds)
    timed_out = predictions.fail_timed_out(db, timeout)
    unclaimed = predictions.republish(db, lost)
    predictions.expire(db)
    engagement.expire(db, timeout=timeout)
    unclaimed += engagement.republish(db, lost)
    day_ago = func.now() - timedelta(days=1)
    db.execute(delete(Worker).where(Worker.heartbeat_at < day_ago))
    db.execute(delete(Token).where(Token.expires_at < day_ago))
    db.execute(delete(LoginAttempt).where(LoginAttempt.at < day_ago))
    db.execute(delete(RequestKey).where(RequestKey.created_at < day_ago))
    return ReconcileResult(requeued, failed, republished, timed_out, unclaimed, locked, more)


def read_broker(
    sessions: Sessions, republish_seconds: float, read: Callable[[], Collection[UUID] | None]
) -> Collection[UUID] | None:
    """Return what ``read`` says that the broker holds; None, without a call, unless something has waited for long.

    No transaction is open meanwhile: the broker may take many seconds, in which locks would be held, and in the end
    the server would undo all that was repaired.
    """
    row = Run.queued_at < func.now() - timedelta(seconds=republish_seconds)
    waits = select(Run.id).where(row, Run.state == RunState.queued.value, Run.kind == "stage").exists()
    with sessions() as db:
        waiting = db.scalar(select(waits | predictions.waits(Prediction) | predictions.waits(Engagement)))
    return read() if waiting else None


def _handle_expired_leases(db: Session, retries: RetryPolicy) -> tuple[int, int, int]:
    """Requeue runs whose lease has expired, or fail them after the last attempt; return how many, and of locked ones."""
    requeued = failed = 0
    held = (Run.state.in_([s.value for s in HELD]), Run.kind == "stage", Run.lease_until < func.now())
    expired = db.scalars(
        select(Run).where(*held).order_by(Run.id).limit(EXPIRED).with_for_update(skip_locked=True)
    ).all()
    locked = 0
    if len(expired) < EXPIRED:
        locked = (db.scalar(select(func.count()).select_from(Run).where(*held)) or 0) - len(expired)
    for run in expired:
        detail = f"the lease of {run.worker} expired"
        if run.state != RunState.running.value:
            requeue_run(db, run.id, run.token, detail)
            requeued += 1
        elif retry_or_fail(db, run.id, run.token, run.attempt, Failure.lost, detail, retries):
            requeued += 1
        else:
            failed += 1
    return requeued, failed, max(0, locked)


def _republish(db: Session, republish_seconds: float, find_lost: predictions.Lost) -> int:
    """Write a new message for each queued run whose message was lost; return how many."""
    queued = (Run.state == RunState.queued.value, Run.kind == "stage")
    long = Run.queued_at < func.now() - timedelta(seconds=republish_seconds)
    waiting = select(Run.id).where(*queued, long, ~exists().where(Outbox.argument == Run.id)).order_by(Run.id)
    lost = find_lost(db.scalars(waiting).all())
    runs = select(Run).where(Run.id.in_(lost), *queued).order_by(Run.id).with_for_update(skip_locked=True)
    unclaimed = db.scalars(runs).all()
    for run in unclaimed:
        enqueue(db, run)
    return len(unclaimed)
