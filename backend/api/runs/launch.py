"""Routes that create runs: of a stage, a recipe or a sweep, and copies."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request

from backend.api import needs
from backend.api.dependencies import Db, Launch, Who
from backend.api.once import Once
from backend.store.runs import create
from backend.store.runs.read import view_run
from vise_client.schemas.launch import RecipeCreate, RunClone, RunCreate, SweepCreate
from vise_client.schemas.runs import (
    RunView,
)

router = APIRouter(tags=["runs"])


@router.post("/runs", response_model=RunView, status_code=201, dependencies=[needs.run])
def create_run(body: RunCreate, db: Db, who: Who, allowance: Launch, once: Once) -> RunView:
    """Create a run of one stage; it starts when its inputs are ready.

    Status 422, with the field, if its spec or an input is not valid.
    """
    run_id = once(body, lambda: create.create_run(db, body, who.user_id, allowance).id)
    return view_run(db, run_id)


async def count_steps(request: Request, allowance: Launch) -> None:
    """Raise Invalid for a recipe of too many steps, before FastAPI validates the spec of each."""
    try:
        body = await request.json()
    except ValueError:
        return  # FastAPI says what is wrong with it.
    if isinstance(body, dict):
        create.check_steps(body.get("spec"), allowance)


@router.post(
    "/recipes/runs", response_model=RunView, status_code=201, dependencies=[needs.run, Depends(count_steps)]
)
def create_recipe(body: RecipeCreate, db: Db, who: Who, allowance: Launch, once: Once) -> RunView:
    """Create a run of a recipe, given by its name or as a spec.

    Status 422, with the field, if the recipe or an input is not valid.
    """
    run_id = once(body, lambda: create.create_recipe(db, body, who.user_id, allowance).id)
    return view_run(db, run_id)


@router.post("/sweeps", response_model=RunView, status_code=201, dependencies=[needs.run])
def create_sweep(body: SweepCreate, db: Db, who: Who, allowance: Launch, once: Once) -> RunView:
    """Create a sweep: one run for each point of a grid.

    Status 422, with the field, if a point or an input is not valid.
    """
    run_id = once(body, lambda: create.create_sweep(db, body, who.user_id, allowance).id)
    return view_run(db, run_id)


@router.post("/runs/{run_id}/clone", response_model=RunView, status_code=201, dependencies=[needs.run])
def clone(run_id: UUID, body: RunClone, db: Db, who: Who, allowance: Launch, once: Once) -> RunView:
    """Create a copy of a run, with changes to its spec.

    Status 404 if no run has this id, 422 if the changes are not valid.
    """
    copy_id = once(body, lambda: create.clone_run(db, run_id, body, who.user_id, allowance).id)
    return view_run(db, copy_id)
