"""Delete a finished run."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Conflict
from backend.store.registry.tables import Dataset, Model
from backend.store.runs.tables import Run
from backend.store.upkeep.marks import mark_artifacts
from vise_client.schemas.run_states import RunState

from .read import get_run


def delete_run(db: Session, run_id: UUID) -> None:
    """Delete a finished run with its children, metrics and artifacts.

    The objects of the artifacts are marked; the next sweep removes those that nothing else names, and saved states.

    Raises Conflict if the run is not final, or if another run, a model or a data set depends on it.
    """
    run = get_run(db, run_id)
    if not RunState(run.state).final:
        raise Conflict(f"the run is {run.state}; cancel it first")
    family = [run.id, *db.scalars(select(Run.id).where(Run.parent_id == run.id))]
    dependant = db.scalar(
        select(Run.name).where(Run.depends_on.overlap(family), Run.id.notin_(family)).limit(1)
    )
    if dependant is not None:
        raise Conflict(f"the run {dependant!r} reads from this run; delete that run first")
    model = db.scalar(select(Model.name).where(Model.run_id.in_(family)).limit(1))
    if model is not None:
        raise Conflict(f"the model {model!r} was made from this run; delete the model first")
    dataset = db.scalar(select(Dataset.name).where(Dataset.run_id.in_(family)).limit(1))
    if dataset is not None:
        raise Conflict(f"the data set {dataset!r} was imported by this run; delete the data set first")
    mark_artifacts(db, family)
    db.delete(run)
