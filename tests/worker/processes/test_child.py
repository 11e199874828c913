"""The exit code of a stage's process says whether the run is to be tried again: its worker's disk may be full."""

import errno
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from vise_core.errors import BadInput, Stopped
from worker import child

FULL = os.strerror(errno.ENOSPC)


def behind(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Reporter:
    """Keeps what is logged."""

    def __init__(self, *_: object) -> None:
        self.lines: list[str] = []

    def log(self, message: str, *, level: str = "info") -> None:
        self.lines.append(message)

    def close(self) -> None: ...


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> child.ChildTask:
    monkeypatch.setattr(child, "get_context", lambda: None)
    monkeypatch.setattr(child, "StoreReporter", Reporter)
    monkeypatch.setattr(child, "validate_spec", lambda *_: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return child.ChildTask(uuid4(), 1, "count", {}, {}, {}, {}, tmp_path)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, FULL), child.DISK),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), child.DISK),
        # Native code has no number for it.
        (RuntimeError(f"PytorchStreamWriter failed writing file data/0: {FULL}"), child.DISK),
        (behind(BadInput("shard-1 cannot be written"), OSError(errno.ENOSPC, FULL)), child.DISK),
        (behind(BadInput("shard-1 cannot be read"), PermissionError(errno.EACCES, "no")), child.FAILED),
        (BadInput("row 3"), child.FAILED),
        (Stopped("stopped at 3"), child.STOPPED),
        (ZeroDivisionError("a bug"), child.CRASHED),
    ],
)
def test_a_stage_that_raises(
    task: child.ChildTask, error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(child, "run_stage", fail)
    assert child.run_child(task) == code
    assert (task.workspace / child.OUTCOME).exists() is (code != child.DISK)


def test_an_outcome_that_finds_no_room(task: child.ChildTask, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def full(_: Path):
        raise OSError(errno.ENOSPC, FULL)
        yield

    def fail(*_: object, **__: object) -> None:
        raise BadInput("row 3")

    monkeypatch.setattr(child, "run_stage", fail)
    monkeypatch.setattr(child, "whole_file", full)
    assert child.run_child(task) == child.DISK
