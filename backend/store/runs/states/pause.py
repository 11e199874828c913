"""Pause a run: it saves its state, gives its worker back and rests until it is resumed."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from backend.store.errors import Conflict
from backend.store.runs.read import get_run
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState

from .transition import PAUSED, change_state, lock_children, move, update_parent


def request_pause(db: Session, run_id: UUID) -> Run:
    """Pause a run and, for a parent, its children.

    Raises NotFound if no run has this id, and Conflict if it is not active.
    """
    run = get_run(db, run_id)
    lock_children(db, run_id)
    db.refresh(run, with_for_update=True)
    if RunState(run.state) not in (RunState.waiting, RunState.queued, RunState.running):
        raise Conflict(f"the run is {run.state}; only one that waits or runs can be paused")
    # Waiting runs are paused too, else they would start as soon as their inputs are there.
    idle, why = (RunState.waiting, RunState.queued), {"reason": PAUSED}
    if run.kind == "stage":
        if not change_state(db, run_id, idle, RunState.paused, PAUSED, values=why):
            change_state(db, run_id, [RunState.running], RunState.pausing, PAUSED)
    else:
        change_state(db, run_id, (RunState.queued, RunState.running), RunState.pausing, PAUSED)
        children = Run.parent_id == run_id
        paused = move(db, children, idle, RunState.paused, PAUSED, why)
        move(db, children, [RunState.running], RunState.pausing, PAUSED)
        if paused:
            update_parent(db, run_id)
    db.refresh(run)
    return run
