"""What there is after a schedule: rows, files, processes, responses. The invariants look at nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backend.store.registry.storage import Storage, StorageError
from backend.store.registry.tables import Artifact, Dataset
from backend.store.runs.tables import Outbox, Run, RunEvent, RunLog
from backend.store.serving.tables import Prediction
from backend.store.upkeep.states import read_state, state_storage
from backend.store.upkeep.tables import Removal

from . import left, posts

if TYPE_CHECKING:
    from .world import World

RECOVERY_SECONDS = 30.0
"""Time after the last fault within which every run and prediction must have ended."""
GRACE_SECONDS, SCAN_SECONDS = 20.0, 5.0
"""What no row names is removed after the one, and looked for each time the other has passed."""
OLD_SECONDS = GRACE_SECONDS + 3 * SCAN_SECONDS
"""Age at which an object that no row names must be gone."""


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
    """A run with all that belongs to it. ``total``: points of each of its curves, once it has succeeded."""

    id: UUID
    name: str
    kind: str
    stage: str | None
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

    @property
    def counts(self) -> bool:
        """Whether its stage is ``count``, of which is known what it reports."""
        return self.stage == "count"


class RemovalRecord(NamedTuple):
    """A removal of posts. ``held``: what holds one of its posts."""

    state: str
    posts: list[str]
    error: str
    left: list[str]
    held: list[str]


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
    """Runs and data sets whose deletion was requested, but not acknowledged."""
    contents: dict[UUID, str] = field(default_factory=dict)
    """Run → what it stores, and no other run."""
    uploads: dict[UUID, str] = field(default_factory=dict)
    """Data set → SHA-256 of the one file of the archive."""
    removals: set[UUID] = field(default_factory=set)


@dataclass
class History:
    """All that the invariants are checked against."""

    runs: dict[UUID, RunRecord] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    """Of all runs, in the order in which they happened."""
    predictions: dict[UUID, tuple[str, str | None]] = field(default_factory=dict)
    """id → (state, error)"""
    datasets: dict[UUID, set[str]] = field(default_factory=dict)
    """id → SHA-256 of its files"""
    removals: dict[UUID, RemovalRecord] = field(default_factory=dict)
    posts: set[str] = field(default_factory=set)
    """Posts that there were before the schedule."""
    posts_now: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)
    """In the outbox."""
    stops: list[tuple[str, float | None]] = field(default_factory=list)
    """(process, seconds in which it has ended after SIGTERM and the last fault); None if it has not."""
    processes: list[left.ProcessRecord] = field(default_factory=list)
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
    ours = {process.pid for process in world.processes.values()}
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
        removals = list(db.scalars(select(Removal).where(Removal.id.in_(accepted.removals))))
        return History(
            runs={row.id: _run(db, storage, row) for row in rows},
            events=events,
            predictions={
                id_: (state, error)
                for id_, state, error in db.execute(predictions.where(Prediction.id.not_in(before)))
            },
            datasets=_datasets(db),
            removals={row.id: _removal(storage, row) for row in removals},
            posts=world.posts,
            posts_now=posts.stored(db, storage) if accepted.removals else world.posts,
            messages=[f"{row.task} {row.argument}" for row in db.scalars(select(Outbox))],
            stops=world.stops(),
            processes=list(left.processes(world.cluster.folder, ours)),
            left=[
                *left.files(world),
                *left.rows(db),
                *left.states(db, storage),
                *left.objects(db, storage, OLD_SECONDS),
                *left.deleted(storage, _deleted(accepted, {row.id for row in rows})),
            ],
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
        run.stage,
        run.state,
        run.reason,
        run.parent_id,
        finished=run.finished_at is not None,
    )
    if run.kind != "stage":
        return record
    for artifact in db.scalars(select(Artifact).where(Artifact.run_id == run.id)):
        for row in artifact.manifest:
            content = _content(storage, row["sha256"])
            record.files.append(StoredFile(artifact.name, row["sha256"], row["size"], content))
    if not record.counts:
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
    return record


def _datasets(db: Session) -> dict[UUID, set[str]]:
    """Return the data sets with the digests of their files."""
    found: dict[UUID, set[str]] = {id_: set() for id_ in db.scalars(select(Dataset.id))}
    data = select(Dataset.id, Artifact.manifest).join(Artifact, Artifact.run_id == Dataset.run_id)
    for id_, manifest in db.execute(data.where(Artifact.name == "data")):
        found[id_] = {row["sha256"] for row in manifest}
    return found


def _removal(storage: Storage, row: Removal) -> RemovalRecord:
    held = list(left.holding(storage, row.posts)) if row.state == "removed" else []
    return RemovalRecord(row.state, list(row.posts), row.error, list(row.left), held)


def _deleted(accepted: Accepted, runs: Collection[UUID]) -> dict[UUID, str]:
    """Return what is stored by the runs that are deleted."""
    return {run: content for run, content in accepted.contents.items() if run not in runs}


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
