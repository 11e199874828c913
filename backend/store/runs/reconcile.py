"""Crash-only: whatever died, a sweep finds what it left behind and puts it right."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, func, select, true, update
from sqlalchemy.orm import Session

from backend.store.serving import engagement, predictions
from backend.store.tables import LoginAttempt, Outbox, Prediction, Run, Token, Worker
from vise_client.schemas.run_states import RunState

from . import states


@dataclass(frozen=True)
class Swept:
    """What a sweep did."""

    taken_back: int = 0
    failed: int = 0
    announced_again: int = 0
    predictions_failed: int = 0
    predictions_announced_again: int = 0


def reconcile(
    db: Session,
    *,
    max_attempts: int,
    republish_seconds: float,
    prediction_timeout_seconds: float,
    drained: Collection[str] | None = None,
) -> Swept:
    """One sweep; safe to run at any time and in several processes at once.

    ``drained`` are the queues in which the broker holds no message: what is queued there was lost. A run that
    waits behind others in a long queue is not announced again and again. None: take every queue for drained.
    """
    taken_back = failed = 0
    lost = db.scalars(
        select(Run)
        .where(
            Run.state.in_([s.value for s in states.HELD]), Run.kind == "stage", Run.lease_until < func.now()
        )
        .order_by(Run.id)
        .limit(500)
        .with_for_update(skip_locked=True)
    ).all()
    for run in lost:
        if run.state == RunState.running.value and run.attempt >= max_attempts:
            reason = f"given up after {run.attempt} attempts: each worker was lost, the last was {run.worker}"
            states.finish(db, run.id, run.token, RunState.failed, reason=reason)
            failed += 1
        else:
            states.queue_held(db, run.id, run.token, f"{run.worker} was lost: its lease ran out")
            taken_back += 1
    forgotten = db.scalars(
        select(Run)
        .where(
            Run.state == RunState.queued.value,
            Run.kind == "stage",
            Run.queued_at < func.now() - timedelta(seconds=republish_seconds),
            true() if drained is None else Run.queue.in_(drained),
            ~exists().where(Outbox.argument == Run.id),
        )
        .order_by(Run.id)
        .limit(500)
        .with_for_update(skip_locked=True)
    ).all()
    for run in forgotten:
        run.queued_at = func.now()
        states.announce(db, run)
    late = db.execute(
        update(Prediction)
        .where(
            Prediction.state == "queued",
            Prediction.created_at < func.now() - timedelta(seconds=prediction_timeout_seconds),
        )
        .values(state="failed", upload=None, error="no prediction worker answered in time; try again")
        .returning(Prediction.id)
    ).all()
    unheard = predictions.announce_again(db) if drained is None or predictions.QUEUE in drained else 0
    predictions.forget(db)
    engagement.forget(db, timeout=timedelta(seconds=prediction_timeout_seconds))
    db.execute(delete(Worker).where(Worker.heartbeat_at < func.now() - timedelta(days=1)))
    db.execute(delete(Token).where(Token.expires_at < func.now() - timedelta(days=1)))
    db.execute(delete(LoginAttempt).where(LoginAttempt.at < func.now() - timedelta(days=1)))
    return Swept(taken_back, failed, len(forgotten), len(late), unheard)
