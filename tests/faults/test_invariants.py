"""Each invariant of the fault schedules reports the history that breaks it, and no other invariant does."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from tests.faults.history import (
    Accepted,
    Event,
    History,
    Line,
    Point,
    ProcessRecord,
    Response,
    RunRecord,
    StoredFile,
)
from tests.faults.invariants import CURVES, INVARIANTS, chunks_of, violations

SINGLE, RECIPE, FIRST, SECOND, STOPPED, DELETED, PREDICTION = (UUID(int=n) for n in range(7))
POINTS = 70
"""Of each curve: one whole chunk, and some points beyond it."""
START = datetime(2026, 1, 1, tzinfo=UTC)


def stage_run(id_: UUID, name: str, state: str, *, points: int = POINTS, **others: object) -> RunRecord:
    run = RunRecord(id_, name, "stage", state, total=POINTS, **others)  # type: ignore[arg-type]
    run.points = [Point(key, n, float(n**power)) for key, power in CURVES.items() for n in range(points)]
    run.chunks = [chunk for key in CURVES for chunk in chunks_of(run.points, key)]
    if state == "succeeded":
        digest = hashlib.sha256(b"70").hexdigest()
        run.files = [StoredFile("counted", digest, 2, b"70")]
    # Of two processes: the first one was killed.
    messages = ["counting from 0", "line 0 of 1-1", "line 1 of 1-1", "counting from 0", "line 0 of 2-2"]
    messages += ["line 1 of 2-2, the last"] if state == "succeeded" else []
    run.lines = [Line(START + timedelta(seconds=n), message) for n, message in enumerate(messages)]
    return run


def course(run: UUID, *states: str) -> list[Event]:
    return [Event(run, before, after) for before, after in pairwise(states)]


def good_history() -> History:
    """A run that lost its worker once, a recipe of two steps, a run that was cancelled, and a prediction."""
    runs = [
        stage_run(SINGLE, "single", "succeeded"),
        RunRecord(RECIPE, "recipe", "recipe", "succeeded"),
        stage_run(FIRST, "first", "succeeded", parent=RECIPE),
        stage_run(SECOND, "second", "succeeded", parent=RECIPE),
        stage_run(STOPPED, "stopped", "cancelled", points=30, saved=30),
    ]
    return History(
        runs={run.id: run for run in runs},
        events=[
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
            },
            predictions={PREDICTION},
            deleted={DELETED},
        ),
        recovery=12.0,
    )


def test_a_good_history_breaks_nothing() -> None:
    assert violations(good_history()) == []


def no_such_change(history: History) -> None:
    history.events.insert(2, Event(SINGLE, "running", "waiting"))
    history.events.insert(3, Event(SINGLE, "waiting", "running"))


def a_change_out_of_nowhere(history: History) -> None:
    history.events.remove(Event(SINGLE, "running", "queued"))


def a_change_without_an_event(history: History) -> None:
    history.runs[STOPPED] = stage_run(STOPPED, "stopped", "succeeded")


def two_final_states(history: History) -> None:
    history.events.append(Event(SINGLE, "succeeded", "cancelled"))
    history.runs[SINGLE].state = "cancelled"


def no_final_state(history: History) -> None:
    history.events.append(Event(STOPPED, "cancelled", "queued", "retried"))
    history.runs[STOPPED].state, history.runs[STOPPED].finished = "queued", False


def final_without_end_time(history: History) -> None:
    history.runs[SINGLE].finished = False


def a_failed_run(history: History) -> None:
    run = history.runs[STOPPED]
    run.state, run.reason = "failed", "a bug"
    history.events[-1] = history.events[-1]._replace(to_state="failed")


def parent_final_before_child(history: History) -> None:
    history.events.remove(Event(RECIPE, "running", "succeeded"))
    end = history.events.index(Event(SECOND, "running", "succeeded"))
    history.events.insert(end, Event(RECIPE, "running", "succeeded"))


def parent_in_another_state(history: History) -> None:
    end = history.events.index(Event(RECIPE, "running", "succeeded"))
    history.events[end] = Event(RECIPE, "running", "cancelled")
    history.runs[RECIPE].state = "cancelled"


def a_point_twice(history: History) -> None:
    history.runs[SINGLE].points.append(history.runs[SINGLE].points[-1])


def a_point_lost_at_the_end(history: History) -> None:
    history.runs[SINGLE].points.pop()


def a_saved_point_lost(history: History) -> None:
    history.runs[STOPPED].points.remove(Point("square", 29, 29.0**2))


def a_point_lost_in_the_middle(history: History) -> None:
    history.runs[STOPPED].points.remove(Point("count", 10, 10.0))


def a_point_with_another_value(history: History) -> None:
    points = history.runs[SINGLE].points
    points[points.index(Point("count", 69, 69.0))] = Point("count", 69, 70.0)


def a_point_of_no_curve(history: History) -> None:
    history.runs[SINGLE].points.append(Point("cubes", 0, 0.0))


def a_log_line_twice(history: History) -> None:
    history.runs[SINGLE].lines.append(history.runs[SINGLE].lines[0])


def a_log_line_twice_at_two_times(history: History) -> None:
    history.runs[STOPPED].lines.append(Line(START + timedelta(hours=1), "line 1 of 1-1"))


def a_log_line_lost_in_the_middle(history: History) -> None:
    del history.runs[STOPPED].lines[1]


def a_log_line_lost_at_the_end(history: History) -> None:
    history.runs[SINGLE].lines.pop()


def a_chunk_unlike_its_points(history: History) -> None:
    chunks = history.runs[SINGLE].chunks
    chunks[0] = chunks[0]._replace(high_step=62)


def a_chunk_lost(history: History) -> None:
    history.runs[SINGLE].chunks.pop()


def an_artifact_unlike_its_digest(history: History) -> None:
    history.runs[SINGLE].files[0].content = b"71"


def an_artifact_lost(history: History) -> None:
    history.runs[SINGLE].files[0].content = None


def no_artifact(history: History) -> None:
    history.runs[SINGLE].files.clear()


def an_orphan_process(history: History) -> None:
    history.processes.append(ProcessRecord(11, "loader", None))


def a_stage_that_still_runs(history: History) -> None:
    history.processes.append(ProcessRecord(12, "stage", 2))


def a_file_left(history: History) -> None:
    history.left.append("the file storage/incoming/1")


def a_message_left(history: History) -> None:
    history.messages.append(f"worker.execute_run {SINGLE}")


def an_unfinished_prediction(history: History) -> None:
    history.predictions[PREDICTION] = ("queued", None)


def a_failed_prediction(history: History) -> None:
    history.predictions[PREDICTION] = ("failed", "no prediction worker responded in time")


def an_accepted_run_lost(history: History) -> None:
    del history.runs[SINGLE]
    history.events = [event for event in history.events if event.run != SINGLE]


def an_accepted_prediction_lost(history: History) -> None:
    history.predictions.clear()


def a_deleted_run_that_stays(history: History) -> None:
    history.accepted.deleted.add(SINGLE)


def a_run_created_twice(history: History) -> None:
    twin = UUID(int=100)
    history.runs[twin] = stage_run(twin, "single", "succeeded")
    history.events += course(twin, "waiting", "queued", "running", "succeeded")


def a_run_returned_with_two_ids(history: History) -> None:
    history.accepted.created["deleted"].add(UUID(int=100))


def a_run_that_nobody_requested(history: History) -> None:
    del history.accepted.created["stopped"]


def an_internal_error(history: History) -> None:
    history.responses.append(Response("create", 500, "unexpected error"))


def slow_recovery(history: History) -> None:
    history.recovery = 31.0


BROKEN: dict[Callable[[History], None], str] = {
    no_such_change: "legal events",
    a_change_out_of_nowhere: "legal events",
    a_change_without_an_event: "legal events",
    two_final_states: "one final state",
    no_final_state: "one final state",
    final_without_end_time: "one final state",
    a_failed_run: "no run fails",
    parent_final_before_child: "parents follow children",
    parent_in_another_state: "parents follow children",
    a_point_twice: "each point once",
    a_point_lost_at_the_end: "each point once",
    a_saved_point_lost: "each point once",
    a_point_lost_in_the_middle: "each point once",
    a_point_with_another_value: "each point once",
    a_point_of_no_curve: "each point once",
    a_log_line_twice: "each log line once",
    a_log_line_twice_at_two_times: "each log line once",
    a_log_line_lost_in_the_middle: "each log line once",
    a_log_line_lost_at_the_end: "each log line once",
    a_chunk_unlike_its_points: "chunks equal points",
    a_chunk_lost: "chunks equal points",
    an_artifact_unlike_its_digest: "artifacts equal their digest",
    an_artifact_lost: "artifacts equal their digest",
    no_artifact: "artifacts equal their digest",
    an_orphan_process: "no process left",
    a_stage_that_still_runs: "no process left",
    a_file_left: "nothing left",
    a_message_left: "messages sent",
    an_unfinished_prediction: "predictions end",
    a_failed_prediction: "predictions end",
    an_accepted_run_lost: "accepted is kept",
    an_accepted_prediction_lost: "accepted is kept",
    a_deleted_run_that_stays: "accepted is kept",
    a_run_created_twice: "created once",
    a_run_returned_with_two_ids: "created once",
    a_run_that_nobody_requested: "created once",
    an_internal_error: "responses expected",
    slow_recovery: "recovery bounded",
}


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda breaks: breaks.__name__)
def test_a_broken_history_is_reported_by_its_invariant_alone(breaks: Callable[[History], None]) -> None:
    history = good_history()
    breaks(history)
    assert {violation.invariant for violation in violations(history)} == {BROKEN[breaks]}


def test_every_invariant_has_a_history_that_breaks_it() -> None:
    assert set(BROKEN.values()) == INVARIANTS.keys()
