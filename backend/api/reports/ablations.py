"""Routes for ablations: saved baselines with runs that differ in one factor."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from backend.api import needs, owners
from backend.api.dependencies import Db, Launch, Who
from backend.store.reports import ablations
from backend.store.runs.read import view_run
from vise_client.schemas.ablations import AblationCreate, AblationSummary, AblationUpdate, AblationView
from vise_client.schemas.runs import RunView

router = APIRouter(prefix="/ablations", tags=["ablations"])


@router.get("", response_model=list[AblationSummary], dependencies=[needs.read])
def list_ablations(db: Db) -> list[AblationSummary]:
    """List the ablations, newest first."""
    return ablations.list_all(db)


@router.post("", response_model=AblationView, status_code=201, dependencies=[needs.run])
def create(body: AblationCreate, db: Db, who: Who) -> AblationView:
    """Save an ablation: a baseline run and the values of one factor.

    Status 404 if no run has this id, 409 if the name is taken, 422 if the run or a value does not fit.
    """
    return ablations.view(db, ablations.create(db, body, who.user_id).id)


@router.get("/{ablation_id}", response_model=AblationView, dependencies=[needs.read])
def read(ablation_id: UUID, db: Db) -> AblationView:
    """Return an ablation: each point with its runs. Status 404 if no ablation has this id."""
    return ablations.view(db, ablation_id)


@router.patch("/{ablation_id}", response_model=AblationView, dependencies=[needs.run, owners.of_ablation])
def update(ablation_id: UUID, body: AblationUpdate, db: Db) -> AblationView:
    """Rename an ablation, or change its points.

    Status 404 if no ablation has this id, 409 if the name is taken, 422 if a value does not fit.
    """
    return ablations.view(db, ablations.update(db, ablation_id, body).id)


@router.delete("/{ablation_id}", status_code=204, dependencies=[needs.run, owners.of_ablation])
def delete(ablation_id: UUID, db: Db) -> Response:
    """Delete an ablation; its runs stay. Status 404 if no ablation has this id."""
    ablations.delete(db, ablation_id)
    return Response(status_code=204)


@router.post(
    "/{ablation_id}/points/{number}/launch", response_model=RunView, status_code=201, dependencies=[needs.run]
)
def launch(
    ablation_id: UUID, number: Annotated[int, Path(ge=0)], db: Db, who: Who, allowance: Launch
) -> RunView:
    """Launch the runs of a point that has none yet. Status 404 if no ablation has this id, 409 if the point has a run."""
    return view_run(db, ablations.launch(db, ablation_id, number, who.user_id, allowance).id)
