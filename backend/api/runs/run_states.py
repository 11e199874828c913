"""Routes that change the state of a run."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from backend.api import needs, owners
from backend.api.dependencies import Db, Launch
from backend.store.runs.create import check_open_runs
from backend.store.runs.read import view_run
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.pause import request_pause
from backend.store.runs.states.resume import resume_run, retry_run
from vise_client.schemas.runs import (
    RunView,
)

router = APIRouter(prefix="/runs/{run_id}", tags=["runs"])


@router.post("/cancel", response_model=RunView, dependencies=[needs.run, owners.of_run])
def cancel(run_id: UUID, db: Db) -> RunView:
    """Cancel a run. A running one saves its state first; a queued one is cancelled at once.

    Status 404 if no run has this id, 409 if it has ended.
    """
    request_cancel(db, run_id)
    return view_run(db, run_id)


@router.post("/pause", response_model=RunView, dependencies=[needs.run, owners.of_run])
def pause(run_id: UUID, db: Db) -> RunView:
    """Pause a run, or the children of a parent: each saves its state and releases its worker.

    Status 404 if no run has this id, 409 if it is not active.
    """
    request_pause(db, run_id)
    return view_run(db, run_id)


@router.post("/resume", response_model=RunView, dependencies=[needs.run, owners.of_run])
def resume(run_id: UUID, db: Db, allowance: Launch) -> RunView:
    """Queue a paused run again; it continues from its last checkpoint.

    Status 404 if no run has this id, 409 if it is not paused.
    """
    resume_run(db, run_id, admin=allowance.admin)
    return view_run(db, run_id)


@router.post("/retry", response_model=RunView, dependencies=[needs.run, owners.of_run])
def retry(run_id: UUID, db: Db, allowance: Launch) -> RunView:
    """Queue a failed or cancelled run again; it continues from its last checkpoint.

    Status 404 if no run has this id, 409 unless it failed or was cancelled, and over the quota of unfinished runs.
    """
    run = retry_run(db, run_id, admin=allowance.admin)
    check_open_runs(db, run.created_by, 0, allowance)
    return view_run(db, run_id)
