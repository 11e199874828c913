"""The API and the dispatcher beside a broker that is away, and the heartbeat beside errors and a GPU that hangs."""

import shutil
import subprocess
import threading
import time
from unittest.mock import MagicMock
from uuid import uuid4

import pytest
import redis
from celery import Celery
from redis.exceptions import ResponseError

from backend.api.broker import Broker
from tests.proxy import Mode, before, black_hole


@pytest.fixture
def settings(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment in which the worker's modules can be imported; nothing is reached through it but the broker."""
    monkeypatch.setenv("VISE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("VISE_BROKER_URL", broker_url)
    monkeypatch.setenv("VISE_STORAGE_URL", "file:///nowhere")


@pytest.mark.usefixtures("settings")
def test_a_broker_that_refuses_because_its_disk_is_full_is_away(
    broker_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from worker import dispatch

    monkeypatch.setattr(dispatch, "app", Celery(broker=broker_url))
    assert dispatch._broker_responds()

    def refuse(*_: object, **__: object) -> None:
        raise ResponseError("MISCONF Valkey is configured to save RDB snapshots, but it cannot persist")

    monkeypatch.setattr(redis.Redis, "ping", refuse)
    assert not dispatch._broker_responds()
    assert "MISCONF" in caplog.text
    monkeypatch.setattr(redis.Redis, "lrange", refuse)
    assert dispatch._in_broker() is None


@pytest.mark.usefixtures("settings")
def test_the_ids_of_all_messages_that_the_broker_holds_are_known(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker import dispatch

    ids = [uuid4() for _ in range(3)]
    monkeypatch.setattr(dispatch, "app", Celery(broker=broker_url))
    monkeypatch.setattr(dispatch, "QUEUES", ("test-first", "test-second"))
    for queue, run_id in zip(("test-first", "test-second", "test-second"), ids, strict=True):
        dispatch.publish("worker.none", run_id, queue)
    assert dispatch._in_broker() == set(ids)
    with redis.Redis.from_url(broker_url) as broker:
        broker.delete("test-first", "test-second")
    assert dispatch._in_broker() == set()


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("away", ["stall", "dropped packets"])
def test_workers_and_dispatchers_wait_for_no_broker_for_longer_than_10_seconds(
    broker_url: str, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker import dispatch

    with before(broker_url) as (through, proxy), black_hole() as port:
        proxy.set("stall")
        app = Celery(broker=through if away == "stall" else f"redis://127.0.0.1:{port}/0")
        app.conf.broker_transport_options = dispatch.app.conf.broker_transport_options
        monkeypatch.setattr(dispatch, "app", app)
        began = time.monotonic()
        assert not dispatch._broker_responds()
        assert time.monotonic() - began < 10


def test_a_request_waits_at_most_2_seconds_for_a_broker_whose_host_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with black_hole() as port:
        broker = Broker(f"redis://127.0.0.1:{port}/0")
        _ = broker._celery  # Its import takes a second.
        began = time.monotonic()
        broker.publish("worker.none", uuid4(), "test-away")
        assert time.monotonic() - began < 3
    assert "waits for the dispatcher" in caplog.text


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("mode", ["refuse", "stall", "half-open"])
def test_a_request_waits_at_most_2_seconds_for_a_broker_that_is_away(
    broker_url: str, mode: Mode, connected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with before(broker_url) as (through, proxy):
        broker = Broker(through)
        if connected:
            broker.publish("worker.none", uuid4(), "test-away")
            assert not caplog.records
        else:
            _ = broker._celery  # Its import takes a second.
        proxy.set(mode)
        began = time.monotonic()
        broker.publish("worker.none", uuid4(), "test-away")
        assert time.monotonic() - began < 3
        assert "waits for the dispatcher" in caplog.text
        proxy.heal()
        caplog.clear()
        broker.publish("worker.none", uuid4(), "test-away")
        assert not caplog.records


@pytest.mark.usefixtures("settings")
def test_a_gpu_whose_driver_hangs_stops_no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    from worker import heartbeat

    def hang(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 20)

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(subprocess, "run", hang)
    assert heartbeat._device() == "GPU"


@pytest.mark.usefixtures("settings")
def test_a_worker_that_has_left_is_not_written_again_by_its_last_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from backend.store.runs import workers
    from worker import heartbeat

    beats, done, order = threading.Event(), threading.Event(), []

    def beat(*_: object, **__: object) -> None:
        beats.set()
        done.wait(0.5)
        order.append("beat")

    monkeypatch.setattr(heartbeat, "get_context", MagicMock())
    monkeypatch.setattr(heartbeat, "schema_problem", lambda _: None)
    monkeypatch.setattr(workers, "beat", beat)
    monkeypatch.setattr(workers, "leave", lambda *_: order.append("leave"))
    beating = heartbeat.Heartbeat()
    beating.start((), lambda: None, lambda: True)
    assert beats.wait(20)
    beating.stop()
    done.set()
    assert order == ["beat", "leave"]


@pytest.mark.usefixtures("settings")
def test_an_error_that_nobody_foresaw_stops_no_heartbeat(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from worker import heartbeat

    beating = heartbeat.Heartbeat()
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        if len(tries) == 3:
            beating._done.set()
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "get_context", fail)
    beating._beat((), lambda: False)
    assert len(tries) == 3
    assert "unforeseen" in caplog.text
