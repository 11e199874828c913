"""What a schedule has left: rows, files, processes, responses. The invariants look at nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import psutil
from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from backend.store.registry.storage import Storage, StorageError
from backend.store.registry.tables import Artifact
from backend.store.runs.tables import Outbox, Run, RunEvent, RunLog
from backend.store.serving.tables import Prediction
from backend.store.upkeep.states import FOLDER, read_state, state_storage

if TYPE_CHECKING:
    from .world import World

RECOVERY_SECONDS = 30.0
"""Time after the last fault within which every run and prediction must have ended."""


class Event(NamedTuple):
    """A change of a run's state."""

    run: UUID
    from_state: str | None
    to_state: str
    detail: str = ""


class Point(NamedTuple):
    key: str
    step: int
    value: float


class Line(NamedTuple):
    """A line of a run's log."""

    at: datetime
    message: str


class Chunk(NamedTuple):
    """The extremes of a curve's points number ``64 * number`` to ``64 * number + 63``."""

    key: str
    number: int
    last_step: int
    low: float
    low_step: int
    high: float
    high_step: int


@dataclass
class StoredFile:
    """A file of an artifact: what its row says, and what the storage holds; None if it holds nothing."""

    artifact: str
    sha256: str
    size: int
    content: bytes | None


@dataclass
class RunRecord:
    """A run with all that belongs to it. ``total``: steps of each of its curves, once it has succeeded."""

    id: UUID
    name: str
    kind: str
    state: str
    reason: str | None = None
    parent: UUID | None = None
    finished: bool = True
    total: int = 0
    saved: int = 0
    """Steps of each curve that its newest saved state builds on."""
    points: list[Point] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


class ProcessRecord(NamedTuple):
    """A process of the cluster. ``depth``: processes between it and the one that the world started; None: an orphan."""

    pid: int
    command: str
    depth: int | None


class Response(NamedTuple):
    """What the API said to a user's request; status None if nothing came."""

    request: str
    status: int | None
    detail: str = ""


@dataclass
class Accepted:
    """What users have requested, and what the API has acknowledged."""

    runs: set[UUID] = field(default_factory=set)
    created: dict[str, set[UUID]] = field(default_factory=dict)
    """Name of each run that was requested, once or again with the same key → ids that were returned."""
    predictions: set[UUID] = field(default_factory=set)
    deleted: set[UUID] = field(default_factory=set)
    perhaps_deleted: set[UUID] = field(default_factory=set)
    """Runs whose deletion was requested, but not acknowledged."""


@dataclass
class History:
    """All that the invariants are checked against."""

    runs: dict[UUID, RunRecord] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    """Of all runs, in the order in which they happened."""
    predictions: dict[UUID, tuple[str, str | None]] = field(default_factory=dict)
    """id → (state, error)"""
    messages: list[str] = field(default_factory=list)
    """In the outbox."""
    processes: list[ProcessRecord] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Files and rows that belong to nothing."""
    responses: list[Response] = field(default_factory=list)
    accepted: Accepted = field(default_factory=Accepted)
    recovery: float = 0.0
    """Seconds from the end of the last fault until everything had ended."""
    bound: float = RECOVERY_SECONDS
    """Most seconds that this may take."""


def read_history(
    world: World,
    *,
    before: Collection[UUID],
    accepted: Accepted,
    responses: list[Response],
    recovery: float,
    bound: float = RECOVERY_SECONDS,
) -> History:
    """Return what is there now, without the runs and predictions of earlier schedules: those with an id in ``before``."""
    storage = world.cluster.storage
    with world.cluster.sessions() as db:
        # One snapshot: a request that its user has given up may still be at work.
        db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        new = Run.id.not_in(before)
        rows = list(db.scalars(select(Run).where(new)))
        events = [
            Event(row.run_id, row.from_state, row.to_state, row.detail)
            for row in db.scalars(
                select(RunEvent).where(RunEvent.run_id.not_in(before)).order_by(RunEvent.id)
            )
        ]
        predictions = select(Prediction.id, Prediction.state, Prediction.error)
        return History(
            runs={row.id: _run(db, storage, row) for row in rows},
            events=events,
            predictions={
                id_: (state, error)
                for id_, state, error in db.execute(predictions.where(Prediction.id.not_in(before)))
            },
            messages=[f"{row.task} {row.argument}" for row in db.scalars(select(Outbox))],
            processes=list(_processes(world)),
            left=[*_files(world), *_rows(db), *_states(db, storage)],
            responses=list(responses),
            accepted=accepted,
            recovery=recovery,
            bound=bound,
        )


def ids(world: World) -> set[UUID]:
    """Return the ids of all runs and predictions."""
    with world.cluster.sessions() as db:
        return {*db.scalars(select(Run.id)), *db.scalars(select(Prediction.id))}


def _run(db: Session, storage: Storage, run: Run) -> RunRecord:
    record = RunRecord(
        run.id,
        run.name,
        run.kind,
        run.state,
        run.reason,
        run.parent_id,
        finished=run.finished_at is not None,
    )
    if run.kind != "stage":
        return record
    parameters = {"run": run.id}
    lines = select(RunLog.at, RunLog.message).where(RunLog.run_id == run.id).order_by(RunLog.id)
    record.lines = [Line(*row) for row in db.execute(lines)]
    record.total = run.spec["steps"] * run.spec["each"]
    record.saved = _saved_steps(storage, run) * run.spec["each"]
    # Not the curves of the machine.
    points = (
        "SELECT key, step, value FROM metric_points WHERE run_id = :run AND NOT starts_with(key, 'system/')"
    )
    record.points = [Point(*row) for row in db.execute(text(f"{points} ORDER BY key, step"), parameters)]
    chunks = (
        "SELECT key, chunk, last_step, low, low_step, high, high_step FROM metric_chunks "
        "WHERE run_id = :run AND NOT starts_with(key, 'system/') ORDER BY key, chunk"
    )
    record.chunks = [Chunk(*row) for row in db.execute(text(chunks), parameters)]
    for artifact in db.scalars(select(Artifact).where(Artifact.run_id == run.id)):
        for row in artifact.manifest:
            content = _content(storage, row["sha256"])
            record.files.append(StoredFile(artifact.name, row["sha256"], row["size"], content))
    return record


def _content(storage: Storage, sha256: str) -> bytes | None:
    try:
        return b"".join(storage.stream(sha256))
    except StorageError:
        return None


def _saved_steps(storage: Storage, run: Run) -> int:
    """Return the step at which the newest saved state that the run names resumes; 0 without one."""
    if run.checkpoint is None or run.state == "succeeded":
        return 0
    token, _, key = run.checkpoint.partition("/")
    with TemporaryDirectory() as folder:
        read_state(state_storage(storage.url, run.id, int(token)), key, Path(folder))
        return int(json.loads((Path(folder) / "step.json").read_text()))


def _processes(world: World) -> Iterator[ProcessRecord]:
    ours = {process.pid for process in world.processes.values()}
    for process in psutil.process_iter():
        try:
            if process.environ().get("VISE_HOME") != str(world.cluster.folder) or process.pid in ours:
                continue
            above = [parent.pid for parent in process.parents()]
            depth = next((n for n, pid in enumerate(above) if pid in ours), None)
            yield ProcessRecord(process.pid, " ".join(process.cmdline())[:80], depth)
        except psutil.Error:
            continue


def _files(world: World) -> Iterator[str]:
    for path in (world.cluster.folder / "work").glob("*-*-*"):
        yield f"the workspace {path.name}"
    # Also those below the folders of saved states.
    storage = world.cluster.folder / "storage"
    paths = [path for name in ("incoming", "uploads") for path in storage.rglob(f"{name}/*")]
    for path in [*paths, *(world.cluster.folder / "incoming").glob("*")]:
        yield f"the file {path.relative_to(world.cluster.folder)}"


def _rows(db: Session) -> Iterator[str]:
    """Points have no foreign key: a trigger deletes them with their run."""
    orphans = "SELECT DISTINCT run_id FROM metric_points WHERE run_id NOT IN (SELECT id FROM runs)"
    for run_id in db.scalars(text(orphans)):
        yield f"points of the deleted run {run_id}"


def _states(db: Session, storage: Storage) -> Iterator[str]:
    """Saved states from which no run resumes."""
    folders = {Path(path).parts[1] for path, _ in storage.files(FOLDER)}
    kept: ColumnElement[bool] = Run.state != "succeeded"
    resumable = {str(run_id) for run_id in db.scalars(select(Run.id).where(kept))}
    for run_id in sorted(folders - resumable):
        yield f"saved states of the run {run_id}"
