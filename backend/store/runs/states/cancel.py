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

from .transition import (
    CANCELLED,
    IDLE,
    LIVE,
    PAUSED,
    cancel_dependants,
    change_state,
    lock_children,
    move,
    states_of,
    update_parent,
)


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
    over = {"reason": CANCELLED, "finished_at": func.now()}
    if run.kind == "stage":
        if not change_state(db, run_id, IDLE, RunState.cancelled, CANCELLED, values=over):
            change_state(db, run_id, [RunState.running, RunState.pausing], RunState.cancelling, CANCELLED)
    else:
        children = Run.parent_id == run_id
        cancelled = move(db, children, IDLE, RunState.cancelled, CANCELLED, over)
        held = move(db, children, (RunState.running, RunState.pausing), RunState.cancelling, CANCELLED)
        if held or RunState.cancelling in states_of(db, run_id):
            moving = (*IDLE, RunState.running, RunState.pausing)
            change_state(db, run_id, moving, RunState.cancelling, CANCELLED)
        else:
            change_state(db, run_id, LIVE, RunState.cancelled, CANCELLED, values=over)
        # What reads from a child and is no child itself.
        parents = cancel_dependants(db, cancelled, "was cancelled")
        for parent_id in sorted({run_id, *parents}):
            update_parent(db, parent_id)
    db.refresh(run)
    return run


def stop_run(db: Session, run_id: UUID, token: int, detail: str) -> Run | None:
    """Move a stopped run from cancelling to cancelled or from pausing to paused; None from any other state."""
    cancelled = {"finished_at": func.now(), "lease_until": None, "reason": CANCELLED}
    paused = {"worker": None, "lease_until": None, "reason": PAUSED}
    return change_state(
        db, run_id, [RunState.cancelling], RunState.cancelled, detail, token=token, values=cancelled
    ) or change_state(db, run_id, [RunState.pausing], RunState.paused, detail, token=token, values=paused)
