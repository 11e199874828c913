"""Ablations: saved baselines with their one-factor differences."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from backend.api.dependencies import Db, Who, editor
from backend.store.reports import ablations
from backend.store.runs.read import view_run
from vise_client.schemas.ablations import AblationCreate, AblationSummary, AblationUpdate, AblationView
from vise_client.schemas.runs import RunView

router = APIRouter(prefix="/ablations", tags=["ablations"])


@router.get("", response_model=list[AblationSummary])
def list_ablations(db: Db) -> list[AblationSummary]:
    """The newest first."""
    return ablations.list_all(db)


@router.post("", response_model=AblationView, status_code=201, dependencies=[editor])
def create(body: AblationCreate, db: Db, who: Who) -> AblationView:
    """Save a baseline and the values that its factor is to take."""
    return ablations.view(db, ablations.create(db, body, who.user_id).id)


@router.get("/{ablation_id}", response_model=AblationView)
def read(ablation_id: UUID, db: Db) -> AblationView:
    """Every point with the run that was found for it."""
    return ablations.view(db, ablation_id)


@router.patch("/{ablation_id}", response_model=AblationView, dependencies=[editor])
def update(ablation_id: UUID, body: AblationUpdate, db: Db) -> AblationView:
    """Rename it, or give it other points."""
    return ablations.view(db, ablations.update(db, ablation_id, body).id)


@router.delete("/{ablation_id}", status_code=204, dependencies=[editor])
def delete(ablation_id: UUID, db: Db) -> Response:
    """Forget the ablation; its runs stay."""
    ablations.delete(db, ablation_id)
    return Response(status_code=204)


@router.post(
    "/{ablation_id}/points/{number}/launch",
    response_model=RunView,
    status_code=201,
    dependencies=[editor],
)
def launch(ablation_id: UUID, number: Annotated[int, Path(ge=0)], db: Db, who: Who) -> RunView:
    """Start the runs that fill a missing point."""
    return view_run(db, ablations.launch(db, ablation_id, number, who.user_id).id)
