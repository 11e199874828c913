"""Write new runs: one statement for each table, however many runs there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, inspect, select
from sqlalchemy.orm import Session

from backend.store.registry import dataset_reads
from backend.store.runs import identity
from backend.store.runs.states import outbox
from backend.store.runs.tables import Run, RunEvent
from vise_client.schemas.run_states import RunState


def new_ids(db: Session, count: int) -> list[UUID]:
    """Return new ids in the order of creation, so that runs can name each other before they are written."""
    return list(db.scalars(select(func.uuidv7()).select_from(func.generate_series(1, count))))


def write_runs(db: Session, runs: Sequence[Run]) -> None:
    """Write new runs of stages, with ids, and queue those whose inputs are all there; the others wait.

    Runs that read from one another are in the order in which they run. Their parent has been written.
    """
    new = {run.id: run for run in runs}
    read = {source for run in runs for source in run.depends_on if source not in new}
    # Locked, so that none ends between reading their states and the commit.
    locked = select(Run.id, Run.name, Run.state).where(Run.id.in_(read)).order_by(Run.id)
    open_sources = {
        id_: name
        for id_, name, state in db.execute(locked.with_for_update(read=True))
        if state != RunState.succeeded.value
    } | {run.id: run.name for run in runs}
    now: datetime = db.execute(select(func.now())).scalar_one()
    for run in runs:
        waits_for = [open_sources[source] for source in run.depends_on if source in open_sources]
        run.state = (RunState.waiting if waits_for else RunState.queued).value
        run.reason = f"waits for {', '.join(waits_for)}" if waits_for else None
        run.queued_at = None if waits_for else now
    identity.identify(db, runs)
    identity.note_together(runs)
    _insert(db, runs)
    identity.write_params(db, runs)
    dataset_reads.record(db, runs)
    created = {"from_state": RunState.waiting.value, "detail": "created"}
    db.execute(insert(RunEvent), [{"run_id": run.id, "to_state": run.state, **created} for run in runs])
    queued = [run for run in runs if run.state == RunState.queued.value]
    for queue in dict.fromkeys(run.queue for run in queued):
        outbox.add(db, [(outbox.RUN_TASK, run.id) for run in queued if run.queue == queue], queue)


def _insert(db: Session, runs: Sequence[Run]) -> None:
    """Write the rows of runs: top-level runs as objects, which the audit log sees, steps together."""
    db.add_all(run for run in runs if run.parent_id is None)
    db.flush()
    columns = set(inspect(Run).columns.keys())
    steps = [
        {name: value for name, value in vars(run).items() if name in columns}
        for run in runs
        if run.parent_id is not None
    ]
    if steps:
        db.execute(insert(Run), steps)
