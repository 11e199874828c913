"""A storage that does not respond, or is full, for a while costs a run nothing but the time."""

import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from s3fs import S3FileSystem
from sqlalchemy import select

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from backend.store.registry import artifacts, storage
from backend.store.registry.storage import Storage
from backend.store.registry.storage_away import StorageAway, away
from backend.store.runs.tables import RunLog
from tests.faults.world import INJECTION
from tests.proxy import Proxy
from tests.worker.held_run import hold_run
from vise_client.schemas.accounts import Role
from vise_client.schemas.run_states import RunState
from worker.context import Context
from worker.reporter import StoreReporter


@pytest.fixture
def context(database_url: str, tmp_path: Path) -> Iterator[Context]:
    settings = Settings(
        database_url=database_url,
        broker_url="redis://127.0.0.1:1/0",
        storage_url=f"file://{tmp_path / 'storage'}",
        home=tmp_path,
    )
    engine = connect(database_url)
    yield Context(settings, session_factory(engine), Storage(settings.storage_url), "w")
    engine.dispose()


def store_slowly(context: Context, file: Path, heal: threading.Timer) -> list[str]:
    """Store an artifact and a state while the storage is away, and return the lines of the run's log."""
    run_id, token = hold_run(context.sessions)
    reporter = StoreReporter(context, run_id, token)
    heal.start()
    reporter.artifact("posts", file)
    reporter.checkpoint(file.parent)
    reporter.close()
    with context.sessions() as db:
        artifact = artifacts.of_run(db, run_id, "posts")
        assert b"".join(context.storage.stream(artifact.sha256)) == file.read_bytes()
        return list(db.scalars(select(RunLog.message).where(RunLog.run_id == run_id).order_by(RunLog.id)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "made" / "posts.bin"
    path.parent.mkdir()
    path.write_bytes(os.urandom(1000))
    return path


def test_a_full_disk_is_reported_on_the_run_and_leaves_no_half_written_file(
    context: Context, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fsync, healed = os.fsync, threading.Event()

    def full_or_fsync(number: int) -> None:
        if not healed.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full_or_fsync)
    lines = store_slowly(context, file, threading.Timer(1, healed.set))
    assert "the disk is full" in lines[0]
    assert lines[1] == "the storage is well again"
    assert len(lines) == 2, "one line, however often it is tried"
    assert list((tmp_path / "storage" / "incoming").iterdir()) == []


@contextmanager
def through_proxy(bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What the bucket is reached through."""
    address = urlsplit(bucket.endpoint)
    proxy = Proxy((str(address.hostname), int(address.port or 0)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setattr(storage, "CALL_SECONDS", 0.7)
    # Clients are cached by their arguments, among which the address from the environment is not.
    S3FileSystem.clear_instance_cache()
    yield proxy
    proxy.close()
    S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("mode", ["refuse", "stall"])
def test_a_bucket_that_is_away_for_a_while_is_waited_for(
    context: Context, file: Path, bucket, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = context.settings.model_copy(update={"storage_url": f"s3://bucket/{mode}"})
    with through_proxy(bucket, monkeypatch) as proxy:
        s3 = Context(settings, context.sessions, Storage(settings.storage_url), "w")
        proxy.set(mode)
        lines = store_slowly(s3, file, threading.Timer(2, proxy.set, ["pass"]))
    assert "the storage does not respond" in lines[0]


def test_a_bucket_that_never_responds_is_given_up(bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with through_proxy(bucket, monkeypatch) as proxy:
        monkeypatch.setattr(storage, "CALL_SECONDS", 60)
        monkeypatch.setattr(storage, "TIMES", storage.TIMES | {"read_timeout": 0.5})
        away_bucket = Storage("s3://bucket/given-up")
        requests: list[bytes] = []
        proxy.on_request = lambda data: (
            data.startswith((b"HEAD", b"GET")) and requests.append(data) is not None
        )
        proxy.set("half-open")
        began = time.monotonic()
        with pytest.raises(StorageAway):
            away_bucket.digest("objects/aa/x")
        assert time.monotonic() - began < 10
        assert len(requests) == 2 * storage.TRIES, "the bucket's client sends each request a second time"


def test_deletions_wait_for_a_bucket_that_is_away(
    context: Context, file: Path, bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = context.settings.model_copy(update={"storage_url": "s3://bucket/waits"})
    with through_proxy(bucket, monkeypatch) as proxy:
        s3 = Context(settings, context.sessions, Storage(settings.storage_url), "w")
        reporter = StoreReporter(s3, *hold_run(context.sessions))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        states = s3.state_storage(reporter.run_id, reporter.token)
        s3.store(lambda: states.put(file, digest))

        def while_away(use: Callable[[], object]) -> object:
            caplog.clear()
            proxy.set("refuse")
            timer = threading.Timer(0.8, proxy.set, ["pass"])
            timer.start()
            result = use()
            timer.join()
            assert "retrying" in caplog.text, bucket.requests[-5:]
            return result

        while_away(lambda: reporter._delete(states, {digest}))
        assert not bucket.objects
        s3.store(lambda: states.put(file, digest))
        while_away(lambda: s3.store(states.clear))
        assert not bucket.objects
        reporter.close()


def test_errors_that_would_come_again_are_not_waited_for(context: Context, tmp_path: Path) -> None:
    for error in (PermissionError(errno.EACCES, "no"), FileNotFoundError(errno.ENOENT, "no"), ValueError()):
        assert away(error) is None
    with pytest.raises(FileNotFoundError):
        context.store(lambda: context.storage.put(tmp_path / "gone", "0" * 64))


def test_the_api_says_that_the_storage_is_full_or_hangs_and_its_other_routes_respond_at_once(
    context: Context, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, token = hold_run(context.sessions)
    manifest, sha256 = artifacts.upload(context.storage, file)
    with context.sessions.begin() as db:
        artifacts.record(db, run_id, token, "posts", manifest, sha256, False)
        artifact_id = artifacts.of_run(db, run_id, "posts").id
        viewer = users.create_user(db, "viewer@example.org", None, Role.viewer)
        secret, _ = users.issue_token(db, viewer, "api", lifetime=None)
    route = f"{PREFIX}/artifacts/{artifact_id}/content"
    headers = {"Authorization": f"Bearer {secret}"}
    hangs = threading.Event()
    with TestClient(create_app(context.settings), headers=headers) as api:
        assert api.get(route).content == file.read_bytes()
        app_storage = api.app.state.storage
        monkeypatch.setattr(
            app_storage, "open", lambda _: (_ for _ in ()).throw(away(OSError(errno.ENOSPC, "full")))
        )
        full = api.get(route)
        assert (full.status_code, full.json()["detail"]) == (
            503,
            "the storage is full; try again in a moment",
        )
        monkeypatch.setattr(app_storage, "probe", hangs.wait)
        until = time.monotonic() + 30
        while "storage" not in api.get(route).json()["detail"] or not api.app.state.monitor.storage_hangs():
            assert time.monotonic() < until
            time.sleep(0.2)
        began = time.monotonic()
        for _ in range(50):
            response = api.get(route)
            assert (response.status_code, response.json()["detail"]) == (
                503,
                "the storage does not respond; try again in a moment",
            )
        assert api.get(f"{PREFIX}/runs").status_code == 200
        assert time.monotonic() - began < 5
        hangs.set()


def test_a_full_disk_while_a_stage_runs_delays_it(cluster) -> None:
    full = cluster.folder / "full"
    cluster.environment |= {
        "VISE_TEST_FULL": str(full),
        "VISE_PRELOAD": "false",
        "PYTHONPATH": f"{cluster.environment['PYTHONPATH']}{os.pathsep}{INJECTION}",
    }
    full.touch()
    cluster.start("dispatch", name="dispatch")
    cluster.worker("first")
    run_id = cluster.create(spec={"steps": 6, "pause": 0})
    logged = select(RunLog.message).where(RunLog.run_id == run_id, RunLog.level == "warning")

    def reported(_: object) -> bool:
        with cluster.sessions() as db:
            return any("the disk is full" in line for line in db.scalars(logged))

    cluster.wait(run_id, reported)
    assert list(cluster.folder.glob("storage/**/incoming/*")) == []
    full.unlink()
    run = cluster.wait_final(run_id)
    assert (run.state, run.attempt) == (RunState.succeeded, 1), (run.reason, run.error)
