"""What must hold after any schedule of faults, read from the history in the database, the storage and the processes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

import psutil
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backend.store.metrics.chunks import SIZE
from backend.store.registry.tables import Artifact
from backend.store.runs.tables import Outbox, Run, RunEvent
from backend.store.serving.tables import Prediction
from vise_client.schemas.run_states import RunState

from .world import World

FINAL = {"succeeded", "failed", "cancelled"}
LEGAL = {
    "waiting": {"waiting", "queued", "paused", "cancelled"},
    "queued": {"running", "paused", "cancelled"},
    "running": {"succeeded", "failed", "queued", "cancelling", "pausing"},
    "cancelling": {"cancelled", "succeeded", "failed"},
    "pausing": {"paused", "cancelling", "succeeded", "failed"},
    "paused": {"queued", "waiting", "cancelled"},
}
"""State of a stage's run → states that may follow; a final state only if people retry."""
PARENTS = {
    "None": {"queued"},
    "queued": {"running", "pausing", "paused", "cancelling", *FINAL},
    "running": {"pausing", "paused", "cancelling", *FINAL},
    "pausing": {"paused", "cancelling", *FINAL},
    "cancelling": FINAL,
    "paused": {"running", "cancelling", *FINAL},
}


def violations(world: World, runs: list[UUID], predictions: list[UUID]) -> list[str]:
    """Return what does not hold, a sentence each."""
    with world.cluster.sessions() as db:
        rows = list(db.scalars(select(Run).where(Run.id.in_(runs) | Run.parent_id.in_(runs))))
        found = [*_states(db, rows), *_parents(rows)]
        for run in rows:
            if run.kind == "stage":
                found += _points(world, run)
                found += _chunks(db, run)
                found += _artifacts(world, db, run)
        answers = db.execute(
            select(Prediction.state, Prediction.error).where(Prediction.id.in_(predictions))
        ).all()
        found += [f"a prediction is {state}: {error}" for state, error in answers if state != "succeeded"]
        if len(answers) != len(predictions):
            found.append(f"{len(predictions) - len(answers)} accepted predictions are gone")
        if left := db.scalars(select(Outbox.argument)).all():
            found.append(f"{len(left)} messages are left in the outbox")
    return [*found, *_processes(world), *_files(world)]


def _states(db: Session, rows: list[Run]) -> Iterator[str]:
    events: dict[UUID, list[RunEvent]] = defaultdict(list)
    ids = [run.id for run in rows]
    for event in db.scalars(select(RunEvent).where(RunEvent.run_id.in_(ids)).order_by(RunEvent.id)):
        events[event.run_id].append(event)
    for run in rows:
        legal = LEGAL if run.kind == "stage" else PARENTS
        before = events[run.id][0].from_state if events[run.id] else run.state
        for event in events[run.id]:
            step = f"{run.name}: {event.from_state} → {event.to_state} ({event.detail})"
            if event.from_state != before:
                yield f"{step} does not follow {before}"
            if event.from_state in FINAL:
                if event.detail != "retried":
                    yield f"{step} after the end"
            elif event.to_state not in legal[str(event.from_state)]:
                yield f"{step} is not legal"
            before = event.to_state
        if before != run.state:
            yield f"{run.name} is {run.state}, its last event says {before}"
        if run.state not in FINAL:
            yield f"{run.name} is still {run.state}: {run.reason}"
        if (run.finished_at is None) is (run.state in FINAL):
            yield f"{run.name} is {run.state}, finished at {run.finished_at}"


def _parents(rows: list[Run]) -> Iterator[str]:
    children: dict[UUID, set[str]] = defaultdict(set)
    for run in rows:
        if run.parent_id is not None:
            children[run.parent_id].add(run.state)
    for run in rows:
        if run.kind != "stage":
            states = children[run.id]
            follows = "failed" if "failed" in states else "cancelled"
            if run.state != ("succeeded" if states == {"succeeded"} else follows):
                yield f"{run.name} is {run.state}, its children are {sorted(states)}"


def _points(world: World, run: Run) -> Iterator[str]:
    """All points up to the last, each once and with its value; of a run that has succeeded, all that it wrote."""
    total = run.spec["steps"] * run.spec["each"]
    points = world.cluster.points(run.id)
    for key, power in (("count", 1), ("square", 2)):
        steps = [step for name, step, value in points if name == key and value == float(step**power)]
        if steps != list(range(len(steps))) or (run.state == RunState.succeeded and len(steps) != total):
            yield f"{run.name} ({run.state}, {run.attempt} attempts): {len(steps)} points of {key}, of {total}"
    if len(points) != len({point[:2] for point in points}) or {name for name, _, _ in points} - {
        "count",
        "square",
    }:
        yield f"{run.name}: points twice, or of no curve"


def _chunks(db: Session, run: Run) -> Iterator[str]:
    query = text(
        "SELECT count(*), coalesce(sum(last_step), 0), coalesce(sum(low_step), 0) FROM metric_chunks "
        "WHERE run_id = :run AND key = 'count'"
    )
    counted = db.scalar(
        text("SELECT count(*) FROM metric_points WHERE run_id = :run AND key = 'count'"), {"run": run.id}
    )
    whole = int(counted or 0) // SIZE
    expected = (
        whole,
        sum(SIZE * n + SIZE - 1 for n in range(whole)),
        sum(SIZE * n for n in range(whole)),
    )
    if tuple(int(value) for value in db.execute(query, {"run": run.id}).one()) != expected:
        yield f"{run.name}: its chunks are not those of its {counted} points"


def _artifacts(world: World, db: Session, run: Run) -> Iterator[str]:
    artifacts = db.scalars(select(Artifact).where(Artifact.run_id == run.id)).all()
    if run.state == RunState.succeeded and not artifacts:
        yield f"{run.name} has succeeded without an artifact"
    for artifact in artifacts:
        for row in artifact.manifest:
            data = b"".join(world.cluster.storage.stream(row["sha256"]))
            if hashlib.sha256(data).hexdigest() != row["sha256"] or len(data) != row["size"]:
                yield f"{run.name}: the artifact {artifact.name} has another digest"


def _processes(world: World) -> Iterator[str]:
    """Every process of the cluster descends from one that it has started, and no stage runs any more."""
    ours = {process.pid for process in world.processes.values()}
    for process in psutil.process_iter():
        try:
            if process.environ().get("VISE_HOME") != str(world.cluster.folder) or process.pid in ours:
                continue
            parents = process.parents()
            above = [parent.pid for parent in parents]
            # Worker → fork server → guardian → stage: a guardian has the fork server between itself and the worker.
            depth = next((n for n, pid in enumerate(above) if pid in ours), None)
            command = " ".join(process.cmdline())[:80]
        except psutil.Error:
            continue
        if depth is None:
            yield f"an orphan process: {process.pid} {command}"
        elif depth > 0:
            yield f"a process of a stage is left: {process.pid} {command}"


def _files(world: World) -> Iterator[str]:
    for name in ("incoming", "uploads"):
        for path in (world.cluster.folder / "storage").rglob(f"{name}/*"):
            yield f"a file is left in the storage: {path.relative_to(world.cluster.folder)}"
