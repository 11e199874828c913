"""Finish a run that a worker holds, or put it back into the queue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.store.errors import StaleToken
from backend.store.metrics import summaries
from backend.store.registry import dataset_versions
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState
from vise_core.files.names import storable

from .cancel import stop_run
from .transition import HELD, change_state, queue_run


def finish_run(
    db: Session,
    run_id: UUID,
    token: int,
    state: RunState,
    *,
    result: dict[str, Any] | None = None,
    headline: dict[str, float] | None = None,
    synthetic: bool = False,
    reason: str | None = None,
    error: str | None = None,
) -> None:
    """Move a held run to a final state and store its result. Raises StaleToken if the lease is lost.

    Texts that PostgreSQL cannot store (NUL, surrogates) are escaped, so that a strange file name never loses a result.
    """
    result, headline, reason, error = (storable(value) for value in (result, headline, reason, error))
    values: dict[str, Any] = {
        "finished_at": func.now(),
        "lease_until": None,
        "reason": reason,
        "error": error,
    }
    if state is RunState.succeeded:
        values |= {"result": result, "headline": headline or {}, "synthetic": Run.synthetic | synthetic}
    run = change_state(db, run_id, HELD, state, reason or "", token=token, values=values)
    if run is None:
        written = (Run.id == run_id, Run.token == token, Run.state == state.value)
        if db.scalar(select(Run.id).where(*written)) is not None:
            return  # A second try: the first was committed without an acknowledgement.
        raise StaleToken.of(run_id, token)
    if state is RunState.succeeded:
        dataset_versions.note_end(db, run, result)
        summaries.set_final(db, run, headline or {}, result or {})


def release_run(db: Session, run_id: UUID, token: int, detail: str) -> None:
    """Requeue a run whose worker shuts down after saving its state; the attempt does not count.

    Raises StaleToken if the run is no longer held with ``token``.
    """
    if requeue_run(db, run_id, token, detail, {"attempt": Run.attempt - 1}) is None:
        raise StaleToken.of(run_id, token)


def requeue_run(
    db: Session,
    run_id: UUID,
    token: int,
    detail: str,
    values: dict[str, Any] | None = None,
    *,
    delay: float = 0,
) -> Run | None:
    """Move a running run back to queued, and a cancelling or pausing run to cancelled or paused.

    Workers hear of it after ``delay`` seconds. Returns None if the lease is lost.
    """
    stopped = stop_run(db, run_id, token, detail)
    if stopped is not None:
        return stopped
    held = db.execute(select(Run.id).where(Run.id == run_id, Run.token == token)).scalar_one_or_none()
    if held is None:
        return None
    # With a higher token every late write of the former holder is refused.
    raised = {"token": Run.token + 1, "reason": detail}
    return queue_run(db, run_id, [RunState.running], detail, raised | (values or {}), delay=delay)
