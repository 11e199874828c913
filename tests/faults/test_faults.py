"""A fault of the schedules harms the process of the time at which it begins, on processes that only sleep."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import cast

import psutil
import pytest

from tests.commands import stop_processes
from tests.faults.faults import Fault, at_process, at_statement
from tests.faults.world import World
from tests.proxy import Proxy

NAMES = ("dispatch", "first", "second", "predict", "api")
ENDED = psutil.STATUS_ZOMBIE
Make = Callable[[World, Random], Fault]


class Sleepers:
    """As much of a world as these faults need."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.links = {f"{name}–database": Proxy(("127.0.0.1", 1)) for name in NAMES}
        self.start_again()

    def start_again(self) -> None:
        """Start all processes, as after their death."""
        self.processes = {name: subprocess.Popen(["sleep", "600"]) for name in NAMES}
        self.started += self.processes.values()

    def start_missing(self) -> None:
        """Leave this to the test."""

    def terminate(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    made = Sleepers()
    yield made
    for proxy in made.links.values():
        proxy.close()
    for process in made.started:
        process.send_signal(signal.SIGCONT)
    stop_processes(made.started)


def draw(sleepers: Sleepers, make: Make, kind: str) -> Fault:
    """Return the fault of this kind that the first seed draws which draws one."""
    drawn = (make(cast(World, sleepers), Random(seed)) for seed in range(1000))
    return next(fault for fault in drawn if fault.name.startswith(f"{kind} "))


def wait_for(process: subprocess.Popen[bytes], state: str) -> None:
    until = time.monotonic() + 20
    while psutil.Process(process.pid).status() != state:
        assert time.monotonic() < until, psutil.Process(process.pid).status()
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["freeze", "kill", "stop"])
def test_a_fault_harms_the_process_that_was_started_since(sleepers: Sleepers, kind: str) -> None:
    fault = draw(sleepers, at_process, kind)
    name = fault.name.split()[1]
    drawn = sleepers.processes[name]
    sleepers.start_again()
    fault.harm()
    wait_for(sleepers.processes[name], psutil.STATUS_STOPPED if kind == "freeze" else ENDED)
    assert psutil.Process(drawn.pid).status() == psutil.STATUS_SLEEPING


@pytest.mark.parametrize("kind", ["freeze", "kill"])
def test_a_statement_harms_the_process_that_sends_it(sleepers: Sleepers, kind: str) -> None:
    fault = draw(sleepers, at_statement, kind)
    _, name, _, statement = fault.name.split(maxsplit=3)
    drawn = sleepers.processes[name]
    sleepers.start_again()
    fault.harm()
    assert not sleepers.links[f"{name}–database"].on_request(f"a {statement} b".encode())
    wait_for(sleepers.processes[name], psutil.STATUS_STOPPED if kind == "freeze" else ENDED)
    assert psutil.Process(drawn.pid).status() == psutil.STATUS_SLEEPING


def test_what_was_frozen_is_continued_although_another_process_has_its_name(sleepers: Sleepers) -> None:
    fault = draw(sleepers, at_process, "freeze")
    frozen = sleepers.processes[fault.name.split()[1]]
    fault.harm()
    wait_for(frozen, psutil.STATUS_STOPPED)
    sleepers.start_again()
    fault.heal()
    wait_for(frozen, psutil.STATUS_SLEEPING)


def test_no_fault_fails_on_a_process_that_has_ended(sleepers: Sleepers) -> None:
    fault = draw(sleepers, at_process, "freeze")
    process = sleepers.processes[fault.name.split()[1]]
    process.kill()
    process.wait()
    fault.harm()
    fault.heal()
