"""What engines compute: the same in one process and in several, whichever of them die."""

import multiprocessing  # noqa: F401 - the engine starts processes: see tests/conftest.py
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from distributed import Client
from distributed.security import Security

from tests.vise_core.engine import work
from tests.vise_core.engine.certificates import certify
from vise_core.engine import Engine, Inline, engine
from vise_core.engine.dask_engine import MOST_PER_TASK, TASKS_PER_WORKER
from vise_core.errors import BadInput, Stopped, WorkerKilled
from vise_core.specs.compute import EngineCompute

pytestmark = [pytest.mark.processes, pytest.mark.slow]


class Asked:
    """A poll that can be told to raise."""

    stop = False

    def __call__(self) -> None:
        if self.stop:
            raise Stopped("asked to")


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


@pytest.fixture(scope="module")
def two(asked: Asked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Two processes, for all tests here."""
    with engine(EngineCompute(processes=2), tmp_path_factory.mktemp("two"), (), asked) as started:
        yield started


@pytest.fixture(params=["one process", "two processes"])
def any_engine(request: pytest.FixtureRequest) -> Engine:
    return Inline() if request.param == "one process" else request.getfixturevalue("two")


@pytest.mark.parametrize("items", [0, 1, 7, 2 * 2 * TASKS_PER_WORKER * MOST_PER_TASK])
def test_each_item_is_computed_once(any_engine: Engine, items: int) -> None:
    results = list(any_engine.finished(work.double, range(items), work.name))
    assert sorted(results) == [2 * item for item in range(items)]


@pytest.mark.parametrize("items", [0, 1, 7, 60])
def test_a_stream_keeps_its_order(any_engine: Engine, items: int) -> None:
    stream = iter(range(items))
    assert list(any_engine.ordered(work.double, stream, work.name)) == [2 * item for item in range(items)]


def test_a_stream_that_breaks_gives_first_what_it_has(any_engine: Engine) -> None:
    def breaks() -> Iterator[int]:
        yield from range(5)
        raise BadInput("line 6: cut off")

    results = any_engine.ordered(work.double, breaks(), work.name)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    with pytest.raises(BadInput, match="line 6: cut off"):
        next(results)


def test_an_item_of_a_stream_that_kills_each_process_is_named(two: Engine) -> None:
    results = two.ordered(partial(work.kill_at, frozenset({5})), range(12), work.name)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(WorkerKilled, match="item 5: every process that worked on this was killed"):
        next(results)


@pytest.mark.parametrize("items", [1, 7, 8, 9, 300])
def test_results_are_joined_in_the_order_of_items(any_engine: Engine, items: int) -> None:
    assert any_engine.reduced(work.listed, work.chained, range(items), work.name) == list(range(items))


def test_two_processes_take_part_also_after_one_was_killed(two: Engine, tmp_path: Path) -> None:
    list(two.finished(partial(work.kill_once, tmp_path), range(5), work.name))
    assert (tmp_path / "killed").exists()
    end = time.monotonic() + 200
    while len(set(two.finished(work.process_of, range(40), work.name))) < 2:
        assert time.monotonic() < end


def test_an_error_of_an_item_is_raised_as_it_is(any_engine: Engine) -> None:
    with pytest.raises(BadInput, match="row 3: no such word"):
        list(any_engine.finished(partial(work.refuse_at, 3), range(6), work.name))


def test_an_item_that_kills_each_process_is_named_and_the_others_are_kept(two: Engine) -> None:
    kept: list[int] = []
    results = two.finished(partial(work.kill_at, frozenset({5})), range(12), work.name)
    with pytest.raises(WorkerKilled, match="item 5: every process that worked on this was killed"):
        kept.extend(results)
    assert sorted(kept) == [item for item in range(12) if item != 5]


def test_a_process_that_is_killed_once_changes_nothing(two: Engine, tmp_path: Path) -> None:
    joined = two.reduced(partial(work.kill_once, tmp_path), work.chained, range(20), work.name)
    assert joined == list(range(20))
    assert (tmp_path / "killed").exists()


def test_waiting_ends_when_the_stage_is_to_stop(two: Engine, asked: Asked) -> None:
    asked.stop = True
    began = time.monotonic()
    with pytest.raises(Stopped):
        list(two.finished(work.sleep, [5.0], str))
    asked.stop = False
    assert time.monotonic() - began < 4


def listening() -> list[tuple[str, int]]:
    """Addresses at which this process and those that it started listen."""
    here = psutil.Process()
    return [
        (place.laddr.ip, place.laddr.port)
        for process in (here, *here.children(recursive=True))
        for place in process.net_connections("inet")
        if place.status == psutil.CONN_LISTEN
    ]


def test_it_listens_on_loopback_alone(two: Engine) -> None:
    places = listening()
    assert len(places) >= 3
    assert {address for address, _ in places} == {"127.0.0.1"}


def test_nobody_else_gets_in(two: Engine, tmp_path: Path) -> None:
    address = two.client.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    with pytest.raises(OSError):
        Client(address.replace("tls://", "tcp://"), timeout=2, set_as_default=False)
    foreign = certify(tmp_path / "foreign")
    for files in (
        {"tls_client_cert": str(foreign.certificate), "tls_client_key": str(foreign.key)},
        {},
    ):
        security = Security(tls_ca_file=str(foreign.ca), require_encryption=True, **files)
        with pytest.raises((OSError, TypeError)):
            Client(address, security=security, timeout=2, set_as_default=False)
    assert list(two.finished(work.double, [4], work.name)) == [8]
