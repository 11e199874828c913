"""Who is there to work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from vise_client.schemas import WorkerView

from .tables import Worker

ALIVE = timedelta(seconds=20)
"""A worker beats every five seconds; after this it counts as gone."""


def beat(db: Session, name: str, queues: Sequence[str], device: str, run_id: UUID | None) -> None:
    values = {"queues": list(queues), "device": device, "run_id": run_id, "heartbeat_at": func.now()}
    statement = insert(Worker).values(name=name, **values)
    db.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def leave(db: Session, name: str) -> None:
    db.execute(delete(Worker).where(Worker.name == name))


def list_workers(db: Session) -> list[WorkerView]:
    alive = (Worker.heartbeat_at > func.now() - ALIVE).label("alive")
    rows = db.execute(select(Worker, alive).order_by(Worker.name)).all()
    return [
        WorkerView(
            name=worker.name,
            queues=worker.queues,
            device=worker.device,
            heartbeat_at=worker.heartbeat_at,
            run_id=worker.run_id,
            alive=is_alive,
        )
        for worker, is_alive in rows
    ]


def count_alive(db: Session) -> int:
    return db.scalar(select(func.count()).where(Worker.heartbeat_at > func.now() - ALIVE)) or 0
