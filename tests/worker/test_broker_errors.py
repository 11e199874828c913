"""What the dispatcher and the heartbeat make of a broker that refuses and of a GPU that hangs."""

import shutil
import subprocess

import pytest
import redis
from celery import Celery
from redis.exceptions import ResponseError

from worker import dispatch, heartbeat


def test_a_broker_that_refuses_because_its_disk_is_full_is_away(
    broker_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "app", Celery(broker=broker_url))
    assert dispatch._broker_responds()

    def refuse(*_: object, **__: object) -> None:
        raise ResponseError("MISCONF Valkey is configured to save RDB snapshots, but it cannot persist")

    monkeypatch.setattr(redis.Redis, "ping", refuse)
    assert not dispatch._broker_responds()
    assert "MISCONF" in caplog.text
    monkeypatch.setattr(redis.Redis, "lrange", refuse)
    assert dispatch._in_broker() is None


def test_a_gpu_whose_driver_hangs_stops_no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 20)

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(subprocess, "run", hang)
    assert heartbeat._device() == "GPU"
