"""A history that breaks no invariant."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from .history import Accepted, Event, History, Line, Point, RemovalRecord, Response, RunRecord, StoredFile
from .invariants import CURVES, chunks_of
from .left import ProcessRecord

SINGLE, RECIPE, FIRST, SECOND, STOPPED, DELETED, PREDICTION, IMPORT = (UUID(int=n) for n in range(8))
DATASET, DELETED_DATASET, REMOVAL = (UUID(int=n) for n in range(20, 23))
DIGEST = hashlib.sha256(b"a row").hexdigest()
POINTS = 70
"""Of each curve: one whole chunk, and some points beyond it."""
START = datetime(2026, 1, 1, tzinfo=UTC)


def stage_run(id_: UUID, name: str, state: str, *, points: int = POINTS, **others: object) -> RunRecord:
    run = RunRecord(id_, name, "stage", "count", state, total=POINTS, **others)  # type: ignore[arg-type]
    run.points = [Point(key, n, float(n**power)) for key, power in CURVES.items() for n in range(points)]
    run.chunks = [chunk for key in CURVES for chunk in chunks_of(run.points, key)]
    if state == "succeeded":
        digest = hashlib.sha256(b"70").hexdigest()
        run.files = [StoredFile("counted", digest, 2, b"70")]
    # Of two processes: the first one was killed.
    messages = [
        "counting from 0",
        "line 0 of 1-1",
        "line 1 of 1-1",
        "saved 2",
        "counting from 2",
        "line 0 of 2-2",
    ]
    messages += ["end of 2-2"] if state == "succeeded" else []
    run.lines = [Line(START + timedelta(seconds=n), message) for n, message in enumerate(messages)]
    return run


def course(run: UUID, *states: str) -> list[Event]:
    return [Event(run, before, after) for before, after in pairwise(states)]


def good_history() -> History:
    """A run that lost its worker once, a recipe, a run that was cancelled, an import, a prediction, a removal."""
    runs = [
        stage_run(SINGLE, "single", "succeeded"),
        RunRecord(RECIPE, "recipe", "recipe", None, "succeeded"),
        RunRecord(
            IMPORT,
            "Import data",
            "stage",
            "fetch",
            "succeeded",
            files=[StoredFile("data", DIGEST, 5, b"a row")],
        ),
        stage_run(FIRST, "first", "succeeded", parent=RECIPE),
        stage_run(SECOND, "second", "succeeded", parent=RECIPE),
        stage_run(STOPPED, "stopped", "cancelled", points=30, saved=30),
    ]
    return History(
        runs={run.id: run for run in runs},
        events=[
            *course(IMPORT, "waiting", "queued", "running", "succeeded"),
            *course(SINGLE, "waiting", "queued", "running", "queued", "running", "succeeded"),
            Event(RECIPE, None, "queued"),
            Event(FIRST, "waiting", "queued"),
            Event(SECOND, "waiting", "waiting"),
            Event(FIRST, "queued", "running"),
            Event(RECIPE, "queued", "running"),
            Event(FIRST, "running", "succeeded"),
            *course(SECOND, "waiting", "queued", "running", "succeeded"),
            Event(RECIPE, "running", "succeeded"),
            *course(STOPPED, "waiting", "queued", "running", "cancelling", "cancelled"),
            Event(STOPPED, "cancelled", "queued", "retried"),
            *course(STOPPED, "queued", "running", "cancelling", "cancelled"),
        ],
        predictions={PREDICTION: ("succeeded", None)},
        datasets={DATASET: {DIGEST}},
        removals={REMOVAL: RemovalRecord("removed", ["post-1"], "", [], [])},
        posts={"post-1", "post-2"},
        posts_now={"post-2"},
        stops=[("worker run", 3.0)],
        processes=[ProcessRecord(10, "fork server", 0)],
        responses=[
            Response("create", 201),
            Response("cancel", 409, "the run has ended"),
            Response("retry", 503, "the database does not respond"),
            Response("pause", None, "timed out"),
        ],
        accepted=Accepted(
            runs={SINGLE, RECIPE, STOPPED, DELETED},
            created={
                "single": {SINGLE},
                "recipe": {RECIPE},
                "stopped": {STOPPED},
                "deleted": {DELETED},
                "no response": set(),
                "Import data": {IMPORT},
            },
            predictions={PREDICTION},
            uploads={DATASET: DIGEST, DELETED_DATASET: "another digest"},
            removals={REMOVAL},
            deleted={DELETED, DELETED_DATASET},
        ),
        recovery=12.0,
    )
