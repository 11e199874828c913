"""Workers and their heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.store.runs.tables import Run, Worker
from vise_client.schemas.workers import WorkerView

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
    return [WorkerView.of(worker, alive=is_alive, run_name=run_name) for worker, is_alive, run_name in rows]


def count_alive(db: Session) -> int:
    """Return the number of workers with a recent heartbeat."""
    return db.scalar(select(func.count()).where(Worker.heartbeat_at > func.now() - ALIVE)) or 0
