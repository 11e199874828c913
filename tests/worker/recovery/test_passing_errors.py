"""A worker waits for what passes, with longer and longer pauses, and gives a run away where others may do better."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.settings import Settings
from backend.store.database import SHORT, connect, session_factory
from backend.store.registry.storage import Storage
from backend.store.registry.storage_away import StorageAway
from backend.store.runs.create import create_run
from backend.store.runs.read import view_run
from backend.store.runs.states.attempts import RetryPolicy
from backend.store.runs.tables import Outbox
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from vise_core.errors import BadInput
from worker import context as module
from worker import execute
from worker.context import Context
from worker.heartbeat import Heartbeat
from worker.stage_process import Lease

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def context(
    database_url: str, tmp_path: Path, stages_of_tests: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Context]:
    settings = Settings(
        database_url=database_url,
        broker_url="redis://127.0.0.1:1/0",
        storage_url=f"file://{tmp_path / 'storage'}",
        home=tmp_path,
        lease_seconds=60,
    )
    engine = connect(database_url, limits=SHORT)
    made = Context(settings, session_factory(engine), Storage(settings.storage_url), "w")
    monkeypatch.setattr(execute, "get_context", lambda: made)
    yield made
    engine.dispose()


def run_once(context: Context) -> UUID:
    """Have this process execute a run."""
    with context.sessions.begin() as db:
        run_id: UUID = create_run(db, RunCreate(stage="count", spec={}), None).id
    stopping = threading.Event()
    thread = threading.Thread(target=execute.execute, args=(run_id, stopping, Heartbeat()))
    thread.start()
    thread.join(20)
    waits = thread.is_alive()
    stopping.set()
    thread.join()
    assert not waits, "the worker waits"
    return run_id


def raising(*errors: Exception) -> Callable[..., None]:
    """Raises these errors, one a call."""
    left = iter(errors)

    def fail(*_: object) -> None:
        raise next(left)

    return fail


def test_inputs_that_find_no_room_are_left_to_another_worker(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "prepare", raising(*[FULL] * 100))
    run_id = run_once(context)
    with context.sessions() as db:
        run = view_run(db, run_id)
        pause = db.scalar(select(func.max(Outbox.due_at)).where(Outbox.argument == run_id)) - db.scalar(
            func.now()
        )
    assert (run.state, run.attempt) == (RunState.queued, 1)
    assert "the disk is full" in str(run.reason)
    assert 5 < pause.total_seconds() <= 10


def test_inputs_wait_for_a_storage_that_is_away(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    away = OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    monkeypatch.setattr(execute, "prepare", raising(away, away, BadInput("no such input")))
    run_id = run_once(context)
    with context.sessions() as db:
        run = view_run(db, run_id)
    assert (run.state, run.attempt) == (RunState.failed, 1)
    assert run.reason == "its inputs could not be fetched: no such input"


@pytest.mark.parametrize(
    ("error", "state"), [(FULL, RunState.failed), (OSError(errno.EMFILE, "x"), RunState.queued)]
)
def test_a_worker_s_own_full_disk_counts_as_such(
    context: Context, error: OSError, state: RunState, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replace(context, settings=context.settings.model_copy(update={"disk_attempts": 1}))
    monkeypatch.setattr(execute, "get_context", lambda: made)
    monkeypatch.setattr(execute, "_supervise", raising(error))
    run_id = run_once(context)
    with context.sessions() as db:
        assert view_run(db, run_id).state == state


def test_each_setting_of_attempts_has_its_kind(context: Context) -> None:
    values = {"max_attempts": 7, "memory_attempts": 3, "disk_attempts": 4, "retry_seconds": 2.0}
    made = replace(context, settings=context.settings.model_copy(update=values))
    assert made.retries == RetryPolicy(lost=7, memory=3, disk=4, seconds=2)


def test_pauses_double_up_to_the_longest(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pauses.append))
    away = StorageAway("the storage does not respond", full=False)
    with pytest.raises(StorageAway):
        context.store(raising(*[away] * 8), lambda _: len(pauses) == 7)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


class Child:
    """A stage's process that runs until it is asked to end."""

    pid = 0

    def __init__(self) -> None:
        self.exitcode: int | None = None

    def terminate(self) -> None:
        self.exitcode = 10


@pytest.mark.parametrize(
    ("own", "setting", "limit"), [(None, 1e-6, 1e-6), (2e-6, 5.0, 2e-6), (2e-6, 0.0, 2e-6)]
)
def test_a_run_s_own_time_limit_goes_before_that_of_the_setting(
    context: Context, tmp_path: Path, own: float | None, setting: float, limit: float
) -> None:
    made = replace(context, settings=context.settings.model_copy(update={"max_run_hours": setting}))
    claim = SimpleNamespace(max_hours=own, run_id=None)
    time.sleep(0.01)
    exceeded = execute._watch_over(made, claim, Child(), tmp_path, threading.Event(), Lease(60))  # type: ignore[arg-type]
    assert f"its time limit of {limit:g} h" in str(exceeded)
