"""Workers: heartbeats, and the queues that they serve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.store.runs.tables import Run, Worker
from vise_client.schemas.workers import QueueView, WorkerView
from vise_core.specs.stages import STAGES

ALIVE = timedelta(seconds=20)
"""Age of the last heartbeat, sent every 5 s, after which a worker counts as gone."""


def beat(db: Session, name: str, queues: Sequence[str], device: str, run_id: UUID | None) -> None:
    """Insert or update the worker's row with the current time as its heartbeat."""
    values = {"queues": list(queues), "device": device, "run_id": run_id, "heartbeat_at": func.now()}
    statement = insert(Worker).values(name=name, **values)
    db.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def leave(db: Session, name: str) -> None:
    """Delete the worker's row."""
    db.execute(delete(Worker).where(Worker.name == name))


def list_workers(db: Session) -> list[WorkerView]:
    """Return the workers by name, each with the run that it executes."""
    alive = (Worker.heartbeat_at > func.now() - ALIVE).label("alive")
    rows = db.execute(
        select(Worker, alive, Run.name).outerjoin(Run, Run.id == Worker.run_id).order_by(Worker.name)
    ).all()
    return [
        WorkerView(
            name=worker.name,
            queues=worker.queues,
            device=worker.device,
            heartbeat_at=worker.heartbeat_at,
            run_id=worker.run_id,
            alive=is_alive,
            started_at=worker.started_at,
            run_name=run_name,
        )
        for worker, is_alive, run_name in rows
    ]


def queues(db: Session) -> list[QueueView]:
    """Return each queue that a stage or a worker uses: queued runs, running runs, and workers."""
    served: Counter[str] = Counter()
    for worker in list_workers(db):
        if worker.alive:
            served.update(worker.queues)
    live = select(Run.queue, Run.state, func.count(), func.min(Run.queued_at)).where(
        Run.kind == "stage", Run.state.in_(("queued", "running", "cancelling"))
    )
    waiting: dict[str, tuple[int, datetime | None]] = {}
    running: Counter[str] = Counter()
    for queue, state, count, oldest in db.execute(live.group_by(Run.queue, Run.state)):
        if state == "queued":
            waiting[queue] = (count, oldest)
        else:
            running[queue] += count
    names = sorted({entry.queue for entry in STAGES.values()} | {"predict"} | served.keys() | waiting.keys())
    return [
        QueueView(
            name=name,
            waiting=waiting.get(name, (0, None))[0],
            oldest_at=waiting.get(name, (0, None))[1],
            running=running[name],
            workers=served[name],
        )
        for name in names
    ]


def count_alive(db: Session) -> int:
    """Return the number of workers with a recent heartbeat."""
    return db.scalar(select(func.count()).where(Worker.heartbeat_at > func.now() - ALIVE)) or 0
