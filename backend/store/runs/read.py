"""Read one run: its row, the whole of it for a page, its events."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.metrics import points as metrics
from backend.store.metrics.marks import wire_number
from backend.store.metrics.tables import MetricLatest
from backend.store.registry import dataset_reads
from backend.store.registry.tables import Artifact
from backend.store.rows import get_row
from backend.store.runs.tables import Run, RunEvent
from vise_client.schemas.artifacts import ArtifactView
from vise_client.schemas.runs import EventView, RunView
from vise_core.specs.recipes.inputs import InputRef

from .run_list import SHOWN, summaries

MAX_CHILDREN = 1000


def get_run(db: Session, run_id: UUID) -> Run:
    """Return a run's row. Raises NotFound if no run has this id."""
    return get_row(db, Run, run_id, "run")


def view_run(db: Session, run_id: UUID) -> RunView:
    """Return a run with its artifacts, latest metrics and children. Raises NotFound if no run has this id."""
    run = get_run(db, run_id)
    artifacts = db.scalars(select(Artifact).where(Artifact.run_id == run_id).order_by(Artifact.name))
    latest = db.execute(
        select(MetricLatest.key, MetricLatest.value)
        .where(MetricLatest.run_id == run_id, MetricLatest.value.is_not(None))
        .where(~MetricLatest.key.startswith(metrics.SYSTEM, autoescape=True))
        .order_by(MetricLatest.key)
    )
    children = db.scalars(
        select(Run).where(Run.parent_id == run_id).order_by(Run.position).limit(MAX_CHILDREN).options(*SHOWN)
    )
    user = db.get(User, run.created_by) if run.created_by else None
    email = user.email if user else None
    own, *of_children = summaries(db, [(run, email), *((child, email) for child in children)])
    return RunView(
        **own.model_dump(),
        spec=run.spec,
        inputs={role: InputRef.model_validate(ref) for role, ref in run.inputs.items()},
        datasets=dataset_reads.views(db, [run_id]).get(run_id, {}),
        deleted_inputs=dataset_reads.deleted_inputs(db, [run_id]).get(run_id, []),
        max_hours=run.max_hours,
        result=run.result,
        error=run.error,
        artifacts=[ArtifactView.model_validate(a) for a in artifacts],
        latest={key: wire_number(value) for key, value in latest if value is not None},
        children=of_children,
    )


def list_events(db: Session, run_id: UUID) -> list[EventView]:
    """Return the changes of state of a run, oldest first, at most 10,000. Raises NotFound if no run has this id."""
    get_run(db, run_id)
    rows = db.scalars(select(RunEvent).where(RunEvent.run_id == run_id).order_by(RunEvent.id).limit(10_000))
    return [EventView.model_validate(row) for row in rows]
