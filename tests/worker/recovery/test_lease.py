"""A worker that loses its database or its life: its run is executed once at a time, and no process of it remains."""

import signal
import threading
import time
from collections.abc import Callable
from uuid import UUID

import psutil

from tests.faults.cluster import Cluster
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView

STEPS = 40
LONG = {"steps": STEPS, "pause": 0.15}
EXPECTED = sorted(
    point for n in range(STEPS) for point in (("count", n, float(n)), ("square", n, float(n * n)))
)


def stage_processes(worker: int) -> list[psutil.Process]:
    """The stage of the run, with all that it has started, and its guardian; not the fork server."""
    servers = [p for p in psutil.Process(worker).children() if "forkserver" in " ".join(p.cmdline())]
    return [process for server in servers for process in server.children(recursive=True)]


def stopped(processes: list[psutil.Process]) -> bool:
    """Whether all but the guardian, the first, are suspended."""
    return len(processes) > 1 and all(p.status() == psutil.STATUS_STOPPED for p in processes[1:])


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def counts(run: RunView) -> bool:
    return run.latest.get("count", 0) >= 3


def test_a_claim_is_tried_until_the_database_is_back(cluster: Cluster) -> None:
    """The message has been taken from the broker, and would be sent again only after 10 minutes."""
    cluster.environment["VISE_REPUBLISH_SECONDS"] = "600"
    cluster.start("dispatch", name="dispatch")
    away: list[threading.Timer] = []
    with cluster.proxies() as (addresses, proxies):

        def on_request(data: bytes) -> bool:
            if b"SELECT runs.state" in data and not away:
                away.append(threading.Timer(4, proxies.database.heal))
                away[0].start()
                proxies.database.set("refuse")
            return False

        proxies.database.on_request = on_request
        cluster.start("run", "--queues", "cpu", name="first", **addresses)
        run_id = cluster.create(spec={"steps": 2, "pause": 0})
        run = cluster.wait_final(run_id, 60)
    assert away, "the worker has read the state of the run, to claim it"
    assert (run.state, run.attempt, run.worker) == (RunState.succeeded, 1, "first")


def test_a_stage_is_suspended_while_its_lease_cannot_be_renewed_and_goes_on_afterwards(
    cluster: Cluster,
) -> None:
    dispatcher = cluster.start("dispatch", name="dispatch")
    with cluster.proxies() as (addresses, proxies):
        worker = cluster.start("run", "--queues", "cpu", name="first", **addresses)
        run_id = cluster.create(spec={**LONG, "idle_processes": 1})
        cluster.wait(run_id, counts)
        # Nobody takes the run back.
        dispatcher.terminate()
        dispatcher.wait(20)
        proxies.database.set("refuse")
        wait_until(lambda: stopped(stage_processes(worker.pid)))
        assert len(stage_processes(worker.pid)) == 4, (
            "the guardian, the stage, and what the stage has started"
        )
        proxies.database.heal()
        wait_until(lambda: not stopped(stage_processes(worker.pid)))
        run = cluster.wait_final(run_id)
    assert (run.state, run.attempt, run.worker) == (RunState.succeeded, 1, "first")
    assert cluster.points(run_id) == EXPECTED


def test_a_stage_is_suspended_before_another_worker_runs_it_and_then_killed(cluster: Cluster) -> None:
    cluster.start("dispatch", name="dispatch")
    with cluster.proxies() as (addresses, proxies):
        first = cluster.start("run", "--queues", "cpu", name="first", **addresses)
        run_id: UUID = cluster.create(spec=LONG)
        cluster.wait(run_id, counts)
        cluster.worker("second")
        proxies.database.set("refuse")
        cluster.wait(run_id, lambda run: run.worker == "second")
        processes = stage_processes(first.pid)
        assert stopped(processes)
        proxies.database.heal()
        wait_until(lambda: not alive(processes))
        run = cluster.wait_final(run_id)
    assert (run.state, run.attempt, run.worker) == (RunState.succeeded, 2, "second")
    assert cluster.points(run_id) == EXPECTED


def test_no_process_of_a_stage_outlives_a_killed_worker(cluster: Cluster) -> None:
    dispatcher = cluster.start("dispatch", name="dispatch")
    worker = cluster.start("run", "--queues", "cpu", name="first", VISE_LEASE_SECONDS="600")
    cluster.wait(cluster.create(spec={"steps": 1000, "pause": 0.1, "idle_processes": 2}), counts)
    # Nobody takes the run back, so that its stage has no other reason to end.
    dispatcher.terminate()
    dispatcher.wait(20)
    wait_until(lambda: len(stage_processes(worker.pid)) == 6)
    processes = psutil.Process(worker.pid).children(recursive=True)
    worker.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(processes), 10)
