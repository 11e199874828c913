"""The reconciler: requeues runs with an expired lease, republishes lost messages and removes what has expired."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, func, select, true
from sqlalchemy.orm import Session

from backend.store.accounts.tables import LoginAttempt, Token
from backend.store.runs.queues import PREDICT_QUEUE
from backend.store.runs.tables import Outbox, Run, Worker
from backend.store.serving import engagement, predictions
from vise_client.schemas.run_states import RunState

from .finish import finish_run, requeue_run
from .outbox import enqueue
from .transition import HELD

BATCH = 500
"""Runs that one call handles."""


@dataclass(frozen=True)
class ReconcileResult:
    """What one call of ``reconcile`` changed."""

    requeued: int = 0
    failed: int = 0
    republished: int = 0
    predictions_failed: int = 0
    predictions_republished: int = 0


def reconcile(
    db: Session,
    *,
    max_attempts: int,
    republish_seconds: float,
    prediction_timeout_seconds: float,
    empty_queues: Collection[str] | None = None,
) -> ReconcileResult:
    """Repair what dead processes left behind; safe at any time and in several processes at once.

    ``empty_queues`` are the queues in which the broker holds no message: the message of a run that is queued there was
    lost. Runs in other queues wait for a worker and are not republished. None: every queue is empty.
    """
    requeued, failed = _handle_expired_leases(db, max_attempts)
    republished = _republish(db, republish_seconds, empty_queues)
    timeout = timedelta(seconds=prediction_timeout_seconds)
    timed_out = predictions.fail_timed_out(db, timeout)
    unclaimed = 0
    if empty_queues is None or PREDICT_QUEUE in empty_queues:
        unclaimed = predictions.republish(db)
    predictions.expire(db)
    engagement.expire(db, timeout=timeout)
    day_ago = func.now() - timedelta(days=1)
    db.execute(delete(Worker).where(Worker.heartbeat_at < day_ago))
    db.execute(delete(Token).where(Token.expires_at < day_ago))
    db.execute(delete(LoginAttempt).where(LoginAttempt.at < day_ago))
    return ReconcileResult(requeued, failed, republished, timed_out, unclaimed)


def _handle_expired_leases(db: Session, max_attempts: int) -> tuple[int, int]:
    """Requeue runs whose lease has expired, or fail them after the last attempt; return how many of each."""
    requeued = failed = 0
    expired = db.scalars(
        select(Run)
        .where(Run.state.in_([s.value for s in HELD]), Run.kind == "stage", Run.lease_until < func.now())
        .order_by(Run.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for run in expired:
        if run.state == RunState.running.value and run.attempt >= max_attempts:
            reason = f"failed after {run.attempt} attempts: the lease of each worker expired, the last was {run.worker}"
            finish_run(db, run.id, run.token, RunState.failed, reason=reason)
            failed += 1
        else:
            requeue_run(db, run.id, run.token, f"the lease of {run.worker} expired")
            requeued += 1
    return requeued, failed


def _republish(db: Session, republish_seconds: float, empty_queues: Collection[str] | None) -> int:
    """Write a new message for each queued run whose message was lost; return how many."""
    unclaimed = db.scalars(
        select(Run)
        .where(
            Run.state == RunState.queued.value,
            Run.kind == "stage",
            Run.queued_at < func.now() - timedelta(seconds=republish_seconds),
            true() if empty_queues is None else Run.queue.in_(empty_queues),
            ~exists().where(Outbox.argument == Run.id),
        )
        .order_by(Run.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for run in unclaimed:
        run.queued_at = func.now()
        enqueue(db, run)
    return len(unclaimed)
