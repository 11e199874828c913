"""Cancel a run: the request, and the rule by which a cancelled run becomes final.

A run that no worker holds is cancelled at once. A held run becomes ``cancelling``; its worker stops the stage and calls
``stop_run``, and if the worker has died, the reconciler does.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from backend.store.errors import Conflict
from backend.store.runs.read import get_run
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState

from .transition import CANCELLED, IDLE, LIVE, PAUSED, change_state, children_of, lock_children


def request_cancel(db: Session, run_id: UUID) -> Run:
    """Cancel a run and, for a parent, its children.

    Raises NotFound if no run has this id, and Conflict if it is final already.
    """
    run = get_run(db, run_id)
    if RunState(run.state).final:
        raise Conflict(f"the run has already ended as {run.state}")
    lock_children(db, run_id)
    # Locked, since a worker could claim or release the run between two reads of its state.
    db.refresh(run, with_for_update=True)
    for child in children_of(db, run_id):
        if not RunState(child.state).final:
            request_cancel(db, child.id)
    if run.kind != "stage" and any(not RunState(c.state).final for c in children_of(db, run_id)):
        change_state(db, run_id, (*IDLE, RunState.running, RunState.pausing), RunState.cancelling, CANCELLED)
    elif not change_state(
        db,
        run_id,
        IDLE if run.kind == "stage" else LIVE,
        RunState.cancelled,
        CANCELLED,
        values={"reason": CANCELLED, "finished_at": func.now()},
    ):
        change_state(db, run_id, [RunState.running, RunState.pausing], RunState.cancelling, CANCELLED)
    db.refresh(run)
    return run


def stop_run(db: Session, run_id: UUID, token: int, detail: str) -> Run | None:
    """Move a stopped run from cancelling to cancelled or from pausing to paused; None from any other state."""
    cancelled = {"finished_at": func.now(), "lease_until": None, "reason": CANCELLED}
    paused = {"worker": None, "lease_until": None, "reason": PAUSED}
    return change_state(
        db, run_id, [RunState.cancelling], RunState.cancelled, detail, token=token, values=cancelled
    ) or change_state(db, run_id, [RunState.pausing], RunState.paused, detail, token=token, values=paused)
