"""A run that takes too long or reports nothing is ended with the reason; one that loses its fork server goes on."""

import os
import signal
import time
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from backend.store.runs import logs
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.resume import retry_run
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import LogLine
from worker.reporter import ACTIVITY
from worker.stage_process import TimeLimits

STEPS = 30
EXPECTED = sorted(
    point for n in range(STEPS) for point in (("count", n, float(n)), ("square", n, float(n * n)))
)


def log_of(cluster, run_id: UUID) -> list[LogLine]:
    with cluster.sessions() as db:
        return logs.read(db, run_id)


def test_a_run_ends_at_its_limits_and_outlives_the_fork_server(cluster) -> None:
    cluster.start("dispatch", name="dispatch")
    worker = cluster.start(
        *("run", "--queues", "cpu"),
        name="worker",
        VISE_PRELOAD="false",
        VISE_SILENT_MINUTES="10",
        VISE_CANCEL_GRACE_SECONDS="5",
        VISE_DISK_ATTEMPTS="2",
        VISE_MAX_ATTEMPTS="2",
    )
    served = cluster.create(spec={"steps": STEPS, "pause": 0.1})
    cluster.wait(served, lambda run: run.latest.get("count", 0) >= 6)
    for child in psutil.Process(worker.pid).children():
        if "forkserver" in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)
    run = cluster.wait_final(served)
    assert (run.state, run.attempt) == (RunState.succeeded, 2), run.reason
    assert cluster.points(served) == EXPECTED

    silent = cluster.create(spec={"steps": 1, "pause": 3600})
    cluster.wait(silent, lambda run: run.state is RunState.running and log_of(cluster, silent))
    (activity,) = cluster.folder.glob(f"work/{silent}-*/{ACTIVITY}")
    long_ago = time.time() - 601
    os.utime(activity, (long_ago, long_ago))
    run = cluster.wait_final(silent)
    assert (run.state, run.attempt) == (RunState.failed, 1)
    assert "its stage reported nothing for 10 min (VISE_SILENT_MINUTES)" in (run.reason or "")

    long = cluster.create(spec={"steps": 100_000, "pause": 0.1}, max_hours=8 / 3600)
    full = cluster.create(spec={"steps": 1, "pause": 0, "end": "disk full"})
    gone = cluster.create(spec={"steps": 1, "pause": 0, "end": "no cluster"})
    run = cluster.wait_final(long)
    assert (run.state, run.attempt) == (RunState.failed, 1)
    assert "it ran for longer than its time limit of 0.00222222 h; it" in (run.reason or "")
    run = cluster.wait_final(full)
    assert (run.state, run.attempt) == (RunState.failed, 2)
    assert "failed after 2 attempts: the disk of worker is full" in (run.reason or "")
    run = cluster.wait_final(gone)
    assert (run.state, run.attempt) == (RunState.failed, 2)
    assert "failed after 2 attempts: worker: the Dask scheduler tls://head:8786 is gone" in (run.reason or "")
    before = len(cluster.points(long))
    with cluster.sessions.begin() as db:
        retry_run(db, long)
    cluster.wait(long, lambda _: len(cluster.points(long)) > before)
    with cluster.sessions.begin() as db:
        request_cancel(db, long)
    cluster.wait_final(long)


def test_limits_are_counted_from_the_start_and_from_the_last_report(tmp_path: Path) -> None:
    limits = TimeLimits(hours=1, silent_minutes=10, workspace=tmp_path)
    assert limits.exceeded() is None
    ago = time.time() - 601
    os.utime(tmp_path / ACTIVITY, (ago, ago))
    assert "reported nothing for 10 min" in str(limits.exceeded())
    limits.note_activity()
    assert limits.exceeded() is None
    limits.began -= 3601
    assert "time limit of 1 h" in str(limits.exceeded())


def test_time_in_which_the_stage_is_suspended_does_not_count(tmp_path: Path) -> None:
    limits = TimeLimits(hours=1, silent_minutes=10, workspace=tmp_path)
    limits.began -= 3000
    ago = time.time() - 500
    os.utime(tmp_path / ACTIVITY, (ago, ago))
    limits.suspend()
    # An hour later.
    assert limits.suspended_at is not None
    assert limits.exceeded() is None
    limits.began -= 3600
    limits.suspended_at -= 3600
    os.utime(tmp_path / ACTIVITY, (ago - 3600, ago - 3600))
    limits.resume()
    assert limits.exceeded() is None
    limits.began -= 601
    assert "time limit of 1 h" in str(limits.exceeded())


def test_time_in_which_a_stage_that_was_told_to_stop_is_suspended_does_not_count(tmp_path: Path) -> None:
    limits = TimeLimits(hours=0, silent_minutes=0, workspace=tmp_path)
    assert not limits.grace_is_over(20)
    limits.stopped_at = time.monotonic() - 10
    limits.suspend()
    # An hour later.
    assert limits.suspended_at is not None
    limits.stopped_at -= 3600
    limits.suspended_at -= 3600
    assert not limits.grace_is_over(20)
    limits.resume()
    assert not limits.grace_is_over(20)
    limits.stopped_at -= 11
    assert limits.grace_is_over(20)


@pytest.mark.parametrize("age", [0, 1e9])
def test_zero_is_no_limit(tmp_path: Path, age: float) -> None:
    limits = TimeLimits(hours=0, silent_minutes=0, workspace=tmp_path)
    os.utime(tmp_path / ACTIVITY, (time.time() - age, time.time() - age))
    limits.began -= age
    assert limits.exceeded() is None
