"""Each invariant of the fault schedules reports the history that breaks it, and no other invariant does."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from tests.faults.good_history import (
    DATASET,
    DELETED_DATASET,
    PREDICTION,
    RECIPE,
    REMOVAL,
    SECOND,
    SINGLE,
    START,
    STOPPED,
    course,
    good_history,
    stage_run,
)
from tests.faults.history import Event, History, Line, Point, Response
from tests.faults.invariants import INVARIANTS, violations
from tests.faults.left import ProcessRecord


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
    history.runs[SINGLE].lines.append(history.runs[SINGLE].lines[3])


def a_log_line_twice_at_two_times(history: History) -> None:
    history.runs[STOPPED].lines.append(Line(START + timedelta(hours=1), "line 1 of 1-1"))


def a_log_line_lost_in_the_middle(history: History) -> None:
    del history.runs[STOPPED].lines[1]


def a_log_line_lost_at_the_end(history: History) -> None:
    history.runs[SINGLE].lines.pop()


def a_run_that_starts_over_although_its_state_is_saved(history: History) -> None:
    history.runs[SINGLE].lines[4] = Line(START + timedelta(seconds=4), "counting from 0")


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


def an_accepted_upload_lost(history: History) -> None:
    history.datasets.clear()


def a_deleted_data_set_that_stays(history: History) -> None:
    history.datasets[DELETED_DATASET] = {"another digest"}


def an_accepted_removal_lost(history: History) -> None:
    history.removals.clear()
    history.posts_now.add("post-1")


def an_upload_without_its_file(history: History) -> None:
    history.datasets[DATASET] = {"another digest"}


def an_unfinished_removal(history: History) -> None:
    history.removals[REMOVAL] = history.removals[REMOVAL]._replace(state="removing")


def a_removal_that_leaves_its_post(history: History) -> None:
    history.posts_now.add("post-1")


def a_removal_that_leaves_an_object(history: History) -> None:
    history.removals[REMOVAL] = history.removals[REMOVAL]._replace(held=["post-1 in the object 2"])


def a_removal_that_knows_what_it_leaves(history: History) -> None:
    history.removals[REMOVAL] = history.removals[REMOVAL]._replace(left=["the object 2"])


def a_removal_of_another_post(history: History) -> None:
    history.posts_now.clear()


def a_process_that_does_not_stop(history: History) -> None:
    history.stops.append(("worker run", None))


def a_process_that_stops_late(history: History) -> None:
    history.stops.append(("worker run", 20.5))


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
    a_run_that_starts_over_although_its_state_is_saved: "resumes from the newest state",
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
    an_accepted_upload_lost: "accepted is kept",
    a_deleted_data_set_that_stays: "accepted is kept",
    an_accepted_removal_lost: "accepted is kept",
    an_upload_without_its_file: "uploads complete",
    an_unfinished_removal: "removals end",
    a_removal_that_leaves_its_post: "removals end",
    a_removal_that_leaves_an_object: "removals end",
    a_removal_that_knows_what_it_leaves: "removals end",
    a_removal_of_another_post: "removals end",
    a_process_that_does_not_stop: "stops in time",
    a_process_that_stops_late: "stops in time",
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
