"""Workers and their heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Double, cast, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.store.runs.tables import Dispatcher, Run, Worker
from backend.store.schema import program_version, revisions
from vise_client.schemas.workers import WorkerView

ALIVE = timedelta(seconds=12)
"""Age of the last heartbeat, sent every 3 s, after which a worker or dispatcher counts as gone: Home, which asks every
4 s, then says so within 20 s of the fault."""
RECENT = timedelta(minutes=10)
"""Age of the last heartbeat up to which a silent process is reported."""


def beat(
    db: Session,
    name: str,
    queues: Sequence[str],
    device: str,
    run_id: UUID | None,
    *,
    hears: bool = True,
    started: bool = False,
) -> None:
    """Insert or update the worker's row with the current time as its heartbeat; ``started``: also as its start."""
    values = {
        "queues": list(queues),
        "device": device,
        "run_id": run_id,
        "hears": hears,
        "version": program_version(),
        "revision": revisions()[0],
        "heartbeat_at": func.now(),
    } | ({"started_at": func.now()} if started else {})
    statement = insert(Worker).values(name=name, **values)
    db.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def beat_dispatcher(db: Session, name: str, broker: bool) -> None:
    """Insert or update a dispatcher's row; ``broker``: whether the broker responds to it."""
    values = {"heartbeat_at": func.now(), "broker": broker}
    statement = insert(Dispatcher).values(name=name, **values)
    db.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
    db.execute(delete(Dispatcher).where(Dispatcher.heartbeat_at < func.now() - RECENT))


def leave_dispatcher(db: Session, name: str) -> None:
    """Delete the dispatcher's row."""
    db.execute(delete(Dispatcher).where(Dispatcher.name == name))


def dispatcher_problem(db: Session) -> str | None:
    """Return what is wrong with the dispatchers; None if one has a recent heartbeat and reaches the broker."""
    rows = db.execute(select(Dispatcher.broker, _seconds(Dispatcher.heartbeat_at))).all()
    if any(broker and age < ALIVE.total_seconds() for broker, age in rows):
        return None
    if not rows:
        return "no dispatcher runs: start one with `vise dispatch`"
    age = min(age for _, age in rows)
    if age < ALIVE.total_seconds():
        return "the dispatcher does not reach the broker"
    return f"the dispatcher has sent no heartbeat for {age:.0f} s: restart it (`vise dispatch`)"


def worker_problems(db: Session) -> tuple[int, dict[str, str]]:
    """Return how many workers can claim runs or predictions, and by name what is wrong with each other one."""
    able, problems = 0, {}
    age = _seconds(Worker.heartbeat_at)
    recent = select(Worker.name, Worker.hears, age).where(Worker.heartbeat_at > func.now() - RECENT)
    for name, hears, seconds in db.execute(recent.order_by(Worker.name)):
        if seconds >= ALIVE.total_seconds():
            problems[name] = f"has sent no heartbeat for {seconds:.0f} s"
        elif not hears:
            problems[name] = "is deaf: messages through the broker do not reach it"
        else:
            able += 1
    return able, problems


def _seconds(since: InstrumentedAttribute[datetime]) -> ColumnElement[float]:
    return cast(func.extract("epoch", func.clock_timestamp() - since), Double)


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
        WorkerView.of(worker, alive=is_alive, run_name=run_name, differs=_difference(worker))
        for worker, is_alive, run_name in rows
    ]


def _difference(worker: Worker) -> str | None:
    """Return how a worker's program differs from this process's; None if it does not, or is not known."""
    if worker.revision not in ("", revisions()[0]):
        return f"it knows revision {worker.revision} of the tables, the API {revisions()[0]}: restart it"
    if worker.version not in ("", program_version()):
        return f"it runs version {worker.version}, the API {program_version()}: restart the older one"
    return None
