"""What must hold after any schedule of faults. ``test_invariants.py`` breaks a good history once for each of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

from backend.store.metrics.chunks import SIZE

from .history import Chunk, Event, History, Point, RunRecord

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
CURVES = {"count": 1, "square": 2}
"""Curve of the stage ``count`` → the power of the step that is its value."""
LINE, END = re.compile(r"line (\d+) of ([\d-]+)"), re.compile(r"end of ([\d-]+)")
"""Lines that the stage ``count`` logs in each step and at its end, with the process that logs them."""
BEGUN, SAVED = re.compile(r"counting from (\d+)"), re.compile(r"saved (\d+)")
"""Lines at its beginning, and when a state is saved."""
STOP_SECONDS = 20.0
"""Time within which a process ends after SIGTERM: 10 s, and ``VISE_CANCEL_GRACE_SECONDS`` for a stage that saves."""
EXPECTED_STATUSES = {404, 409, 429, 503}
"""What users may be told beside success: the run is gone, in another state, or a part is away."""


class Violation(NamedTuple):
    """A sentence, and the name of the invariant that does not hold."""

    invariant: str
    sentence: str


def violations(history: History) -> list[Violation]:
    """Return all that does not hold."""
    return [Violation(name, sentence) for name, check in INVARIANTS.items() for sentence in check(history)]


def _legal_events(history: History) -> Iterator[str]:
    """Each event begins where the one before it has ended, and leads to a state that may follow."""
    before: dict[UUID, str | None] = {}
    for event in history.events:
        run = history.runs[event.run]
        step = f"{run.name}: {event.from_state} → {event.to_state} ({event.detail})"
        if event.from_state != before.setdefault(run.id, event.from_state):
            yield f"{step} does not follow {before[run.id]}"
        legal = LEGAL if run.kind == "stage" else PARENTS
        if event.from_state not in FINAL and event.to_state not in legal.get(str(event.from_state), ()):
            yield f"{step} is not legal"
        before[run.id] = event.to_state
    for run in history.runs.values():
        if before.get(run.id) != run.state:
            yield f"{run.name} is {run.state}, its last event says {before.get(run.id)}"


def _one_final_state(history: History) -> Iterator[str]:
    """Each run ends, and nothing happens to it afterwards unless people retry it."""
    for event in history.events:
        if event.from_state in FINAL and event.detail != "retried":
            yield f"{_name(history, event)}: {event.from_state} → {event.to_state} after the end"
    for run in history.runs.values():
        if run.state not in FINAL:
            yield f"{run.name} is still {run.state}: {run.reason}"
        if run.finished is not (run.state in FINAL):
            yield f"{run.name} is {run.state}, and it has {'an' if run.finished else 'no'} end time"


def _none_fails(history: History) -> Iterator[str]:
    """No fault here excuses that a run fails."""
    for run in history.runs.values():
        if run.state == "failed" and run.kind == "stage":
            yield f"{run.name} has failed: {run.reason}"


def _parents_follow_children(history: History) -> Iterator[str]:
    """A parent ends after its last child, in the state that follows from theirs."""
    children: dict[UUID, list[RunRecord]] = defaultdict(list)
    for run in history.runs.values():
        if run.parent is not None:
            children[run.parent].append(run)
    states: dict[UUID, str] = {}
    for event in history.events:
        states[event.run] = event.to_state
        if event.to_state in FINAL:
            for child in children.get(event.run, ()):
                if states.get(child.id) not in FINAL:
                    yield f"{_name(history, event)} ended while {child.name} was {states.get(child.id)}"
    for parent, family in children.items():
        ends = {child.state for child in family}
        follows = "failed" if "failed" in ends else "cancelled" if "cancelled" in ends else "succeeded"
        if (run := history.runs[parent]).state in FINAL and ends <= FINAL and run.state != follows:
            yield f"{run.name} is {run.state}, its children are {sorted(ends)}"


def _points_once(history: History) -> Iterator[str]:
    """Each acknowledged point is there once, with its value: all of a run that succeeded, else up to its saved state."""
    for run in history.runs.values():
        if not run.counts:
            continue
        for key, power in CURVES.items():
            steps = [point.step for point in run.points if point.key == key]
            wrong = [p for p in run.points if p.key == key and p.value != float(p.step**power)]
            least = run.total if run.state == "succeeded" else run.saved
            if wrong or steps != list(range(len(steps))) or not least <= len(steps) <= run.total:
                yield (
                    f"{run.name} ({run.state}): {len(steps)} points of {key}, at least {least} and at most "
                    f"{run.total} expected; wrong: {wrong[:3]}"
                )
        if unknown := {point.key for point in run.points} - CURVES.keys():
            yield f"{run.name}: points of {unknown}"


def _lines_once(history: History) -> Iterator[str]:
    """No log line is there twice; those of each process are there up to some line, and of one that succeeded all."""
    for run in history.runs.values():
        for line, count in Counter(run.lines).items():
            if count > 1:
                yield f"{run.name}: {count} times the log line {line.message!r} of {line.at}"
        numbers: dict[str, list[int]] = defaultdict(list)
        for match in filter(None, (LINE.fullmatch(line.message) for line in run.lines)):
            numbers[match[2]].append(int(match[1]))
        for process, logged in numbers.items():
            if logged != list(range(len(logged))):
                yield f"{run.name}: the process {process} logged the lines {logged}"
        if (
            run.counts
            and run.state == "succeeded"
            and not any(END.fullmatch(line.message) for line in run.lines)
        ):
            yield f"{run.name} has succeeded without the last line of its log"


def _resumes_from_newest(history: History) -> Iterator[str]:
    """A run goes on where its newest saved state ends, also if its worker was stopped or killed during a save."""
    for run in history.runs.values():
        saved = 0
        for message in (line.message for line in run.lines):
            if match := SAVED.fullmatch(message):
                saved = max(saved, int(match[1]))
            elif (match := BEGUN.fullmatch(message)) and int(match[1]) < saved:
                yield f"{run.name}: {message}, although its state was saved at {saved}"


def _chunks_equal_points(history: History) -> Iterator[str]:
    """Chunks are what follows from the points, however and whenever they were written."""
    for run in history.runs.values():
        expected = [chunk for key in sorted(CURVES) for chunk in chunks_of(run.points, key)]
        if sorted(run.chunks) != expected:
            yield f"{run.name}: its {len(run.chunks)} chunks are not the {len(expected)} of its points"


def chunks_of(points: list[Point], key: str) -> Iterator[Chunk]:
    """Yield the chunks of one curve."""
    curve = sorted((point.step, point.value) for point in points if point.key == key)
    for number in range(len(curve) // SIZE):
        part = curve[number * SIZE : (number + 1) * SIZE]
        low, high = min(part, key=lambda p: (p[1], p[0])), max(part, key=lambda p: (p[1], -p[0]))
        yield Chunk(key, number, part[-1][0], low[1], low[0], high[1], high[0])


def _artifacts_equal_digest(history: History) -> Iterator[str]:
    """Each artifact can be read and has the digest and size of its row; a run that succeeded has one."""
    for run in history.runs.values():
        if run.kind == "stage" and run.state == "succeeded" and not run.files:
            yield f"{run.name} has succeeded without an artifact"
        for file in run.files:
            if file.content is None:
                yield f"{run.name}: the artifact {file.artifact} is not in the storage"
            elif (hashlib.sha256(file.content).hexdigest(), len(file.content)) != (file.sha256, file.size):
                yield f"{run.name}: the artifact {file.artifact} has another digest or size"


def _no_process_left(history: History) -> Iterator[str]:
    """Every process descends from one that was started, and no stage runs any more."""
    for process in history.processes:
        if process.depth is None:
            yield f"an orphan process: {process.pid} {process.command}"
        # Worker → fork server → guardian → stage: a guardian has the fork server between itself and the worker.
        elif process.depth > 0:
            yield f"a process of a stage is left: {process.pid} {process.command}"


def _nothing_left(history: History) -> Iterator[str]:
    """No file and no row is left that belongs to nothing."""
    yield from (f"left: {what}" for what in history.left)


def _messages_sent(history: History) -> Iterator[str]:
    if history.messages:
        yield f"{len(history.messages)} messages are left in the outbox: {history.messages[:3]}"


def _predictions_end(history: History) -> Iterator[str]:
    """No fault here excuses that a prediction fails."""
    for state, error in history.predictions.values():
        if state != "succeeded":
            yield f"a prediction is {state}: {error}"


def _accepted_is_kept(history: History) -> Iterator[str]:
    """What the API has acknowledged is there: runs and predictions until they are deleted, and then no more."""
    accepted = history.accepted
    may_be_gone = accepted.deleted | accepted.perhaps_deleted
    for run_id in accepted.runs - history.runs.keys() - may_be_gone:
        yield f"the run {run_id} was accepted and is gone"
    for prediction_id in accepted.predictions - history.predictions.keys():
        yield f"the prediction {prediction_id} was accepted and is gone"
    for run_id in accepted.deleted & history.runs.keys():
        yield f"the run {run_id} was deleted and is still there"
    for dataset_id in accepted.uploads.keys() - history.datasets.keys() - may_be_gone:
        yield f"the data set {dataset_id} was accepted and is gone"
    for dataset_id in accepted.deleted & history.datasets.keys():
        yield f"the data set {dataset_id} was deleted and is still there"
    for removal_id in accepted.removals - history.removals.keys():
        yield f"the removal {removal_id} was accepted and is gone"


def _uploads_complete(history: History) -> Iterator[str]:
    """Each data set that was uploaded, and not deleted, has the file that its archive had."""
    for dataset_id, digest in history.accepted.uploads.items():
        if digest not in (files := history.datasets.get(dataset_id, {digest})):
            yield f"the data set {dataset_id} has not what was uploaded, but {len(files)} other files"


def _removals_end(history: History) -> Iterator[str]:
    """Each removal removes its posts from everywhere, and no other post."""
    for removal_id, removal in history.removals.items():
        if removal.state != "removed":
            yield f"the removal {removal_id} is {removal.state}: {removal.error}"
            continue
        if wrong := [*removal.left, *removal.held, *sorted(history.posts_now.intersection(removal.posts))]:
            yield f"the removal {removal_id} has left {wrong}"
    requested = {post for removal in history.removals.values() for post in removal.posts}
    if lost := history.posts - history.posts_now - requested:
        yield f"posts are gone that nobody has removed: {sorted(lost)[:3]}"


def _stops_in_time(history: History) -> Iterator[str]:
    """A process that is sent SIGTERM ends, whatever it does at that time."""
    for name, seconds in history.stops:
        if seconds is None or seconds > STOP_SECONDS:
            took = "is still there" if seconds is None else f"took {seconds:.1f} s to end"
            yield f"{name} {took} after SIGTERM; the bound is {STOP_SECONDS:g} s"


def _created_once(history: History) -> Iterator[str]:
    """Each request creates one run at most, also if it is sent again with its key; and nothing else creates any."""
    created = history.accepted.created
    runs = Counter(run.name for run in history.runs.values() if run.parent is None)
    for name, count in runs.items():
        if name not in created:
            yield f"nobody has requested the run {name}"
        elif count > 1:
            yield f"{count} runs were created for one request: {name}"
    for name, returned in created.items():
        if len(returned) > 1:
            yield f"the request of the run {name} returned the ids {sorted(map(str, returned))}"


def _responses_expected(history: History) -> Iterator[str]:
    """Users get what they ask for, or hear why not; never that the server has failed."""
    for response in history.responses:
        if response.status is not None and not (
            200 <= response.status < 300 or response.status in EXPECTED_STATUSES
        ):
            yield f"{response.request}: status {response.status}, {response.detail}"


def _recovery_bounded(history: History) -> Iterator[str]:
    if history.recovery > history.bound:
        yield f"recovery took {history.recovery:.1f} s; the bound is {history.bound:g} s"


def _name(history: History, event: Event) -> str:
    return history.runs[event.run].name


INVARIANTS: dict[str, Callable[[History], Iterator[str]]] = {
    "legal events": _legal_events,
    "one final state": _one_final_state,
    "no run fails": _none_fails,
    "parents follow children": _parents_follow_children,
    "each point once": _points_once,
    "each log line once": _lines_once,
    "resumes from the newest state": _resumes_from_newest,
    "chunks equal points": _chunks_equal_points,
    "artifacts equal their digest": _artifacts_equal_digest,
    "no process left": _no_process_left,
    "nothing left": _nothing_left,
    "messages sent": _messages_sent,
    "predictions end": _predictions_end,
    "accepted is kept": _accepted_is_kept,
    "created once": _created_once,
    "uploads complete": _uploads_complete,
    "removals end": _removals_end,
    "stops in time": _stops_in_time,
    "responses expected": _responses_expected,
    "recovery bounded": _recovery_bounded,
}
