"""A worker that shuts down gives its run back, also when little goes well meanwhile."""

import signal
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest

from backend.store.runs import logs
from backend.store.runs.create import create_run
from backend.store.runs.read import view_run
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.lease import Claim
from tests.faults.cluster import Cluster
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from worker import execute
from worker.context import Context
from worker.heartbeat import Heartbeat

SAVE_SECONDS, AWAY_SECONDS = 7.0, 2.5
"""Longer than a process without a run takes to end, and longer than the last second of one with a run."""


def test_the_end_of_a_stage_that_saved_for_long_is_recorded_though_the_database_is_away_for_seconds(
    cluster: Cluster,
) -> None:
    cluster.environment["VISE_LEASE_SECONDS"] = "15"
    cluster.start("dispatch", name="dispatch")
    with cluster.proxies() as (addresses, proxies):
        worker = cluster.start("run", "--queues", "cpu", name="first", **addresses)
        run_id = cluster.create(spec={"steps": 100, "pause": SAVE_SECONDS})

        def counts(_: object) -> bool:
            with cluster.sessions() as db:
                return any("counting" in line.message for line in logs.read(db, run_id))

        cluster.wait(run_id, counts)
        away: list[threading.Timer] = []

        def on_request(data: bytes) -> bool:
            if b"SELECT runs.state" in data and not away:
                away.append(threading.Timer(AWAY_SECONDS, proxies.database.heal))
                away[0].start()
                proxies.database.set("refuse")
            return False

        proxies.database.on_request = on_request
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        assert away, "the worker has read the state of its run, to change it"
        assert time.monotonic() - began > SAVE_SECONDS / 2
    run = cluster.view(run_id)
    assert (run.state, run.attempt, run.reason) == (RunState.queued, 0, "first is shutting down")


class Fetching:
    """Inputs that take long to fetch, and of which a file comes late."""

    def __init__(self) -> None:
        self.began, self.goes_on = threading.Event(), threading.Event()

    def prepare(self, context: Context, claim: Claim, workspace: Path) -> None:
        self.workspace, self.thread = workspace, threading.current_thread()
        self.began.set()
        self.goes_on.wait(60)
        workspace.mkdir(parents=True)
        (workspace / "late.tar").write_bytes(b"late")
        raise AssertionError("no stage may start any more")


@pytest.mark.parametrize("why", ["shut down", "cancelled"])
def test_a_run_whose_inputs_take_long_to_fetch_is_stopped_at_once(
    context: Context, stages_of_tests: None, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    fetching, stopping = Fetching(), threading.Event()
    monkeypatch.setattr(execute, "prepare", fetching.prepare)
    monkeypatch.setattr(execute, "get_context", lambda: context)
    with context.sessions.begin() as db:
        run_id: UUID = create_run(db, RunCreate(stage="count", spec={}), None).id
    thread = threading.Thread(target=execute.execute, args=(run_id, stopping, Heartbeat()))
    thread.start()
    try:
        assert fetching.began.wait(20)
        if why == "shut down":
            stopping.set()
        else:
            with context.sessions.begin() as db:
                request_cancel(db, run_id)
        thread.join(context.settings.lease_seconds / 2 + 3)
        assert not thread.is_alive()
    finally:
        fetching.goes_on.set()
        thread.join()
    with context.sessions() as db:
        run = view_run(db, run_id)
    if why == "shut down":
        assert (run.state, run.attempt, run.reason) == (RunState.queued, 0, "w is shutting down")
    else:
        assert run.state is RunState.cancelled
    fetching.thread.join(20)
    assert not fetching.workspace.exists(), "what came late is removed"
