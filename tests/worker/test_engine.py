"""Runs through real Celery workers, and what becomes of them when processes are killed."""

import base64
import json
import os
import signal
import time
from pathlib import Path

import psutil
import redis

from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.pause import request_pause
from backend.store.runs.states.resume import resume_run, retry_run
from vise_client.schemas.run_states import RunState

EXPECTED = sorted(
    [("count", n, float(n)) for n in range(40)] + [("square", n, float(n * n)) for n in range(40)]
)
LONG = {"steps": 40, "pause": 0.15}


def test_a_run_goes_through(running) -> None:
    run = running.wait_final(running.create(spec={"steps": 7, "pause": 0}))
    assert run.state is RunState.succeeded, (run.reason, run.error)
    assert run.headline == {"counted": 7}
    assert run.latest == {"count": 6, "square": 36}
    assert [a.name for a in run.artifacts] == ["counted"]
    assert run.result["provenance"]["stage"] == "count"
    assert run.progress.done == 7


def test_the_process_of_a_run_gives_way_to_all_others(running) -> None:
    run_id = running.create(spec=LONG)
    running.wait(run_id, lambda run: bool(run.latest))
    lowered = int(os.environ["VISE_RUN_NICENESS"])
    worker = psutil.Process(running.processes[1].pid)
    stages = [child for child in worker.children(recursive=True) if child.nice() == worker.nice() + lowered]
    assert len(stages) == 1
    # Where Linux groups processes by session, the niceness of the session counts.
    if (autogroup := Path(f"/proc/{stages[0].pid}/autogroup")).exists():
        assert autogroup.read_text().endswith(f" nice {stages[0].nice()}\n")
    assert running.wait_final(run_id).state is RunState.succeeded


def test_a_message_lost_with_the_broker_s_memory_is_sent_again(running, broker_url) -> None:
    busy = running.create(spec={"steps": 30, "pause": 0.1})
    running.wait(busy, lambda run: run.state is RunState.running)
    behind = running.create(spec={"steps": 2, "pause": 0})
    time.sleep(1)
    with redis.Redis.from_url(broker_url) as broker:
        bodies = [base64.b64decode(json.loads(message)["body"]) for message in broker.lrange("cpu", 0, -1)]
        assert any(str(behind).encode() in body for body in bodies), "a busy worker leaves it to the others"
        broker.flushall()
    assert running.wait_final(behind).state is RunState.succeeded


def test_cancel_saves_the_state_and_retry_goes_on_from_there(running) -> None:
    run_id = running.create(spec=LONG)
    running.wait(run_id, lambda run: run.latest.get("count", 0) >= 3)
    with running.sessions.begin() as db:
        assert request_cancel(db, run_id).state == "cancelling"
    assert running.wait_final(run_id).state is RunState.cancelled
    with running.sessions.begin() as db:
        retry_run(db, run_id)
    run = running.wait_final(run_id)
    assert run.state is RunState.succeeded
    assert run.result["started_at_step"] >= 3
    assert running.points(run_id) == EXPECTED
    until = time.monotonic() + 20
    while [*running.storage.files(f"checkpoints/{run_id}"), *running.folder.glob(f"work/{run_id}-*")]:
        assert time.monotonic() < until, "its worker removes its states and its workspace, without any sweep"
        time.sleep(0.05)


def test_a_paused_run_rests_without_a_worker_and_goes_on_from_there(running) -> None:
    run_id = running.create(spec=LONG)
    running.wait(run_id, lambda run: run.latest.get("count", 0) >= 3)
    with running.sessions.begin() as db:
        assert request_pause(db, run_id).state == "pausing"
    paused = running.wait(run_id, lambda run: run.state is RunState.paused)
    assert (paused.worker, paused.finished_at, paused.reason) == (None, None, "paused on request")
    at = len(running.points(run_id))
    other = running.create(spec={"steps": 3, "pause": 0})
    assert running.wait_final(other).state is RunState.succeeded, "its worker is free for others"
    assert running.view(run_id).state is RunState.paused
    assert len(running.points(run_id)) == at
    with running.sessions.begin() as db:
        resume_run(db, run_id)
    run = running.wait_final(run_id)
    assert run.state is RunState.succeeded, (run.reason, run.error)
    assert run.result["started_at_step"] >= 3
    assert running.points(run_id) == EXPECTED


def test_how_a_run_failed_is_said_in_a_sentence(running) -> None:
    ends = {
        "bad input": "posts.csv: row 3: the field id is missing",
        "crash": "ZeroDivisionError: a bug",
        "kill": "memory ran out",
        "long name": "(9,000 characters): String should have at most 200 characters",
        "huge step": "out of range",
    }
    made = {end: running.create(spec={"steps": 1, "pause": 0, "end": end}) for end in ends}
    for end, sentence in ends.items():
        run = running.wait_final(made[end])
        assert run.state is RunState.failed
        assert sentence in (run.reason or "")
        assert run.attempt == (2 if end == "kill" else 1), "only a lack of memory may pass"
    assert running.view(made["bad input"]).reason == ends["bad input"], "it begins with no path of the worker"
    assert "test" in (running.view(made["crash"]).error or "") or "stages.py" in (
        running.view(made["crash"]).error or ""
    )
    # The worker itself is well.
    assert running.wait_final(running.create(spec={"steps": 1})).state is RunState.succeeded


def test_a_chain_runs_in_order_and_reads_what_was_made(running) -> None:
    first = running.create(spec={"steps": 3, "pause": 0})
    second = running.create(spec={"steps": 2}, inputs={"counted": {"run": str(first), "artifact": "counted"}})
    assert running.view(second).state is RunState.waiting
    run = running.wait_final(second)
    assert run.state is RunState.succeeded
    hashes = run.result["provenance"]["inputs"]
    assert hashes == {"counted": running.view(first).artifacts[0].sha256}


def test_a_worker_killed_in_mid_run_is_replaced_without_help_and_nothing_is_lost_or_doubled(cluster) -> None:
    cluster.start("dispatch", name="dispatch")
    first = cluster.worker("first")
    run_id = cluster.create(spec=LONG)
    cluster.wait(run_id, lambda run: run.latest.get("count", 0) >= 8)
    first.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    cluster.worker("second")

    taken = cluster.wait(run_id, lambda run: run.worker == "second")

    assert time.monotonic() - killed_at < 60
    assert taken.attempt == 2
    run = cluster.wait_final(run_id)
    assert run.state is RunState.succeeded, (run.reason, run.error)
    assert run.result["started_at_step"] >= 5, "it went on from its checkpoint"
    assert cluster.points(run_id) == EXPECTED


def test_a_run_that_loses_its_worker_while_it_pauses_is_paused_and_a_cancel_overtakes_a_pause(
    cluster,
) -> None:
    cluster.start("dispatch", name="dispatch")
    worker = cluster.worker("only")
    run_id = cluster.create(spec=LONG)
    cluster.wait(run_id, lambda run: run.latest.get("count", 0) >= 6)
    worker.send_signal(signal.SIGKILL)
    with cluster.sessions.begin() as db:
        request_pause(db, run_id)
    cluster.wait(run_id, lambda run: run.state is RunState.paused)
    with cluster.sessions.begin() as db:
        resume_run(db, run_id)
    cluster.worker("second")
    cluster.wait(run_id, lambda run: run.state is RunState.running and run.worker == "second")
    with cluster.sessions.begin() as db:
        request_pause(db, run_id)
    with cluster.sessions.begin() as db:
        request_cancel(db, run_id)
    assert cluster.wait_final(run_id).state is RunState.cancelled


def test_a_worker_that_is_asked_to_end_hands_its_run_on(cluster) -> None:
    cluster.start("dispatch", name="dispatch")
    first = cluster.worker("first")
    run_id = cluster.create(spec=LONG)
    cluster.wait(run_id, lambda run: run.latest.get("count", 0) >= 3)
    first.send_signal(signal.SIGTERM)
    cluster.worker("second")
    assert first.wait(30) == 0
    run = cluster.wait_final(run_id)
    assert (run.state, run.worker) == (RunState.succeeded, "second")
    assert run.result["started_at_step"] >= 3
    assert cluster.points(run_id) == EXPECTED


def test_a_run_that_loses_every_worker_fails_in_the_end(cluster) -> None:
    cluster.environment["VISE_MAX_ATTEMPTS"] = "1"
    cluster.start("dispatch", name="dispatch")
    worker = cluster.worker("only")
    run_id = cluster.create(spec=LONG)
    cluster.wait(run_id, lambda run: run.state is RunState.running)
    worker.send_signal(signal.SIGKILL)
    run = cluster.wait_final(run_id)
    assert run.state is RunState.failed
    assert "only" in (run.reason or "")
