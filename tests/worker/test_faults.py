"""What becomes of a stack of which a part is frozen, cut off or half-open: it says so soon, and is soon well again.

``make outages`` measures the same for 60 s of each, with the product's own settings, and looks at Home too.
"""

import logging
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from backend.api.app import PREFIX, create_app
from backend.api.monitor import FRESH_SECONDS
from backend.settings import Settings
from backend.store.runs import workers
from frontend.views.home.system import REFRESH_SECONDS
from tests.faults.cluster import Cluster, Proxies, cluster_over
from vise_client.schemas.run_states import RunState
from worker.heartbeat import BEAT_SECONDS, DEAF_SECONDS

SECONDS = 20.0
"""Within this time a fault is reported, and within it all is well again after the fault."""
STEPS = 30
LONG = {"steps": STEPS, "pause": 0.15}
OWN_SECONDS = 10.0
"""What the runs themselves take, on a busy machine."""
EXPECTED = sorted(
    point for n in range(STEPS) for point in (("count", n, float(n)), ("square", n, float(n * n)))
)


@dataclass
class Stack:
    """A dispatcher, a worker and the API, each with proxies of its own before database and broker."""

    cluster: Cluster
    api: TestClient
    dispatcher: subprocess.Popen[bytes]
    worker: subprocess.Popen[bytes]
    proxies: dict[str, Proxies]

    def problems(self) -> dict[str, str]:
        """By part what /health says is wrong with it."""
        parts = self.api.get(f"{PREFIX}/health").json()["parts"]
        return {part["name"]: part["message"] for part in parts if part["message"]}

    def all(self, server: str) -> list:
        return [getattr(proxies, server) for proxies in self.proxies.values()]

    def start_long_run(self) -> UUID:
        run_id = self.cluster.create(spec=LONG)
        self.cluster.wait(run_id, lambda run: run.latest.get("count", 0) >= 3, 60)
        return run_id

    def check_that_runs_go_on(self, run_id: UUID | None, healed_at: float) -> None:
        """All is well, what is queued now is done in time, and the run that was under way has lost nothing."""
        short = self.cluster.create(spec={"steps": 2, "pause": 0})
        wait_until(lambda: not self.problems(), healed_at + SECONDS, self.problems)
        if run_id is not None:
            run = self.cluster.wait_final(run_id, healed_at + SECONDS + OWN_SECONDS - time.monotonic())
            assert run.state is RunState.succeeded, (run.reason, run.error)
            assert self.cluster.points(run_id) == EXPECTED
        run = self.cluster.wait_final(short, healed_at + SECONDS + OWN_SECONDS - time.monotonic())
        assert run.state is RunState.succeeded, (run.reason, run.error)


def wait_until(condition: Callable[[], bool], end: float, state: Callable[[], object]) -> None:
    while not condition():
        assert time.monotonic() < end, state()
        time.sleep(0.2)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(r.getMessage() for r in caplog.records if r.name == "vise.health")


@pytest.fixture(scope="module")
def stack(
    module_database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with cluster_over(module_database_url, broker_url, folder) as cluster, ExitStack() as exits:
        addresses, proxies = {}, {}
        for name in ("dispatch", "worker", "api"):
            addresses[name], proxies[name] = exits.enter_context(cluster.proxies())
        dispatcher = cluster.start("dispatch", name="dispatch", **addresses["dispatch"])
        worker = cluster.start("run", "--queues", "cpu", name="worker", **addresses["worker"])
        # Continued, so that they can end.
        for process in (dispatcher, worker):
            exits.callback(process.send_signal, signal.SIGCONT)
        settings = Settings(
            database_url=addresses["api"]["VISE_DATABASE_URL"],
            broker_url=addresses["api"]["VISE_BROKER_URL"],
            storage_url=cluster.storage.url,
            home=folder,
        )
        with TestClient(create_app(settings)) as api:
            stack = Stack(cluster, api, dispatcher, worker, proxies)
            wait_until(lambda: not stack.problems(), time.monotonic() + 60, stack.problems)
            yield stack


@pytest.fixture(autouse=True)
def stages_of_tests(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    import stages

    from vise_core.specs.stages import STAGES

    monkeypatch.setitem(STAGES, stages.COUNT.name, stages.COUNT)


def freeze(process: subprocess.Popen[bytes]) -> tuple[Callable[[], None], Callable[[], None]]:
    """(harm, heal)"""
    return lambda: process.send_signal(signal.SIGSTOP), lambda: process.send_signal(signal.SIGCONT)


def cut(proxies: list, mode: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """(harm, heal)"""
    return (
        lambda: [proxy.set(mode) for proxy in proxies],
        lambda: [proxy.set("pass") for proxy in proxies],
    )


FAULTS = {
    "worker frozen": (lambda s: [freeze(s.worker)], {"workers": "no heartbeat"}),
    "dispatcher frozen, worker without messages": (
        lambda s: [freeze(s.dispatcher), cut([s.proxies["worker"].broker], "stall")],
        {"dispatcher": "no heartbeat", "workers": "deaf"},
    ),
    "worker's database and dispatcher's broker half-open": (
        lambda s: [
            cut([s.proxies["worker"].database], "half-open"),
            cut([s.proxies["dispatch"].broker], "half-open"),
        ],
        {"workers": "no heartbeat", "dispatcher": "not reach the broker"},
    ),
    "PostgreSQL frozen": (lambda s: [cut(s.all("database"), "stall")], {"database": "respon"}),
    "Valkey frozen": (lambda s: [cut(s.all("broker"), "stall")], {"broker": "respon"}),
    "PostgreSQL and Valkey cut off": (
        lambda s: [cut(s.all("database"), "refuse"), cut(s.all("broker"), "refuse")],
        {"database": "respon", "broker": "respon"},
    ),
}


def test_home_shows_a_silent_or_deaf_process_within_20_s() -> None:
    """The last heartbeat may have arrived, without a response, one interval after the fault."""
    silent = BEAT_SECONDS + workers.ALIVE.total_seconds()
    deaf = DEAF_SECONDS + BEAT_SECONDS
    assert max(silent, deaf) + FRESH_SECONDS + REFRESH_SECONDS <= SECONDS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_within_20_s_and_gone_within_20_s_after(
    stack: Stack, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    make, expected = FAULTS[fault]
    faults = make(stack)
    # A worker that executes a run fetches no messages, so that it cannot say whether any would arrive.
    run_id = None if "without messages" in fault else stack.start_long_run()
    began = time.monotonic()
    for harm, _ in faults:
        harm()
    try:

        def reported() -> bool:
            problems = stack.problems()
            told = logged(caplog)
            return all(words in problems.get(part, "") for part, words in expected.items()) and all(
                f"{part}: " in told for part in expected
            )

        wait_until(reported, began + SECONDS, lambda: (stack.problems(), logged(caplog)))
    finally:
        for _, heal in faults:
            heal()
    stack.check_that_runs_go_on(run_id, time.monotonic())


def test_connections_that_were_cut_in_silence_are_replaced_within_20_s(stack: Stack) -> None:
    """New connections pass, so that nothing has to be well again first."""
    run_id = stack.start_long_run()
    for proxy in stack.all("database") + stack.all("broker"):
        proxy.half_open()
    stack.check_that_runs_go_on(run_id, time.monotonic())
