"""Resume paused runs, and retry failed or cancelled ones: back into the queue, from the last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Conflict
from backend.store.runs.read import get_run
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState

from .launchable import check_stages
from .transition import Dependant, change_state, lock_children, lock_inputs, wait_or_queue


def resume_run(db: Session, run_id: UUID, *, admin: bool = True) -> Run:
    """Queue a paused run again from its last checkpoint; for a parent, its paused children.

    Raises NotFound if no run has this id, and Conflict if it is not paused or waits for an input that has failed;
    NotAllowed for a stage that only admins launch, unless ``admin``.
    """
    run = get_run(db, run_id)
    family = run_id if run.kind != "stage" else run.parent_id
    again: Sequence[Dependant] = [run]
    if family is not None:
        lock_children(db, family)
        if family == run_id:
            again = _children(db, family, [RunState.paused])
    db.refresh(run, with_for_update=True)
    if run.state == RunState.pausing.value:
        raise Conflict("the run is still saving its state; resume it once it is paused")
    if run.state != RunState.paused.value:
        raise Conflict(f"the run is {run.state}; only a paused run can be resumed")
    if family is not None:
        change_state(db, family, [RunState.paused], RunState.running, "resumed", values={"reason": None})
    # The user may have been an admin when the run was launched.
    check_stages((each.stage for each in again), admin=admin)
    _require_live_inputs(db, again)
    lock_inputs(db, again)
    wait_or_queue(db, again, [RunState.paused], "resumed", {"attempt": 0})
    db.refresh(run)
    return run


def retry_run(db: Session, run_id: UUID, *, admin: bool = True) -> Run:
    """Queue a failed or cancelled run again from its last checkpoint; for a parent, its failed or cancelled children.

    Raises NotFound if no run has this id, and Conflict if it has not failed and was not cancelled, or waits for an
    input that has failed; NotAllowed for a stage that only admins launch, unless ``admin``.
    """
    run = get_run(db, run_id)
    over = (RunState.failed, RunState.cancelled)
    if RunState(run.state) not in over:
        raise Conflict(f"the run is {run.state}; only a failed or cancelled run can be retried")
    fresh = {"attempt": 0, "finished_at": None, "reason": None, "error": None, "progress": None}
    reopened = {"finished_at": None, "reason": None}
    family = run_id if run.kind != "stage" else run.parent_id
    again: Sequence[Dependant] = [run]
    if family is not None:
        lock_children(db, family)
        again = _children(db, family, over)
        if family != run_id:
            again = _with_dependants(run, again)
        change_state(db, family, over, RunState.running, "retried", values=reopened)
    else:
        db.refresh(run, with_for_update=True)
    # The user may have been an admin when the run was launched.
    check_stages((each.stage for each in again), admin=admin)
    _require_live_inputs(db, again)
    lock_inputs(db, again)
    wait_or_queue(db, again, over, "retried", fresh)
    db.refresh(run)
    return run


def _children(db: Session, parent_id: UUID, states: Sequence[RunState]) -> Sequence[Any]:
    """Return id, state, stage and ``depends_on`` of the children in these states, in order of position."""
    columns = select(Run.id, Run.state, Run.stage, Run.depends_on)
    of_parent = (Run.parent_id == parent_id, Run.state.in_([state.value for state in states]))
    return db.execute(columns.where(*of_parent).order_by(Run.position)).all()


def _with_dependants(run: Run, ended: Sequence[Any]) -> list[Dependant]:
    """Return the run and the siblings that were cancelled because it, directly or not, did not succeed."""
    again: dict[UUID, Dependant] = {run.id: run}
    for sibling in ended:  # In order of position: a step comes after the steps that it reads from.
        if sibling.state == RunState.cancelled.value and not again.keys().isdisjoint(sibling.depends_on):
            again[sibling.id] = sibling
    return list(again.values())


def _require_live_inputs(db: Session, again: Sequence[Dependant]) -> None:
    """Raise Conflict if a run would wait for ever for an input that has failed or was cancelled."""
    ids = {run.id for run in again}
    needed = {source for run in again for source in run.depends_on} - ids
    dead = db.scalar(
        select(Run.name)
        .where(Run.id.in_(needed), Run.state.in_([RunState.failed.value, RunState.cancelled.value]))
        .limit(1)
    )
    if dead is not None:
        raise Conflict(f"it reads from {dead!r}, which did not succeed: retry that one first")
