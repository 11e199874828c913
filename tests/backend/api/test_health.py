"""What /health, /ready and /live say of each part, and how soon, whatever has become of the part."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError
from fastapi.testclient import TestClient
from sqlalchemy import text

from backend.api.app import PREFIX, create_app
from backend.api.monitor import RESPONSE_SECONDS, Monitor
from backend.settings import Settings
from backend.store.database import connect, session_factory
from backend.store.registry.storage import Storage, StorageError
from backend.store.registry.storage_away import StorageAway, responding
from backend.store.runs import workers
from tests.proxy import before, black_hole


def beat(url: str) -> None:
    """A dispatcher and a worker that are well, as far as the database knows."""
    engine = connect(url)
    with session_factory(engine).begin() as db:
        workers.beat(db, "w", ["cpu"], "cpu", None)
        workers.beat_dispatcher(db, "d", broker=True)
    engine.dispose()


@contextmanager
def api_of(settings: Settings, **changes: str) -> Iterator[TestClient]:
    with TestClient(create_app(settings.model_copy(update=changes))) as api:
        yield api


def ask(api: TestClient, route: str) -> tuple[int, dict[str, str]]:
    """(status, by part what is wrong). Never takes long."""
    began = time.monotonic()
    response = api.get(f"{PREFIX}/{route}")
    assert time.monotonic() - began < 6, response.text
    return response.status_code, {
        part["name"]: part["message"] for part in response.json()["parts"] if part["message"]
    }


def test_all_is_well_and_nothing_is_left_in_the_storage(settings: Settings, tmp_path: Path) -> None:
    beat(settings.database_url)
    with api_of(settings) as api:
        report = api.get(f"{PREFIX}/health").json()
        assert (report["status"], report["database"], report["broker"], report["workers"]) == (
            "ok",
            True,
            True,
            1,
        )
        assert {part["name"] for part in report["parts"]} == {
            *("database", "schema", "dispatcher", "workers", "broker", "storage")
        }
        assert ask(api, "ready") == (200, {})
        assert api.get(f"{PREFIX}/live").status_code == 204
    assert [path for path in (tmp_path / "storage").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("mode", ["refuse", "stall"])
@pytest.mark.parametrize("part", ["database", "broker"])
def test_a_server_that_is_away_or_frozen_is_reported_at_once_and_then_well_again(
    settings: Settings, part: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    beat(settings.database_url)
    name = f"{part}_url"
    with before(getattr(settings, name)) as (through, proxy), api_of(settings, **{name: through}) as api:
        assert ask(api, "ready") == (200, {})
        proxy.set(mode)
        time.sleep(1.1)
        for route in ("health", "ready"):
            status, problems = ask(api, route)
            assert status == 503
            assert "respon" in problems[part]
            assert "127.0.0.1" not in str(problems), "addresses are for the log"
        assert api.get(f"{PREFIX}/live").status_code == 204
        until = time.monotonic() + 20
        while not [record for record in caplog.records if record.name == "vise.health"]:
            assert time.monotonic() < until
            time.sleep(0.1)
        beat(settings.database_url)
        proxy.set("pass")
        until = time.monotonic() + 20
        while ask(api, "ready")[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.5)


def test_each_part_that_a_run_needs_is_named(settings: Settings, tmp_path: Path) -> None:
    engine = connect(settings.database_url)

    def change(statement: str) -> None:
        with engine.begin() as db:
            db.execute(text(statement))
        time.sleep(1.1)

    with api_of(settings) as api:
        status, problems = ask(api, "ready")
        assert status == 503
        assert problems.keys() == {"dispatcher", "workers"}
        assert ask(api, "health")[0] == 200, "people read; database and broker respond"
        beat(settings.database_url)
        change("UPDATE workers SET hears = false")
        status, problems = ask(api, "ready")
        assert (status, problems.keys()) == (503, {"workers"})
        assert "deaf" in problems["workers"]
        change("INSERT INTO workers (name, queues, device) VALUES ('second', '{cpu}', 'cpu')")
        status, problems = ask(api, "ready")
        assert (status, problems.keys()) == (200, {"workers"}), (
            "a second worker is enough; the first is reported"
        )
        change("UPDATE dispatchers SET heartbeat_at = now() - interval '16 s'")
        assert "dispatcher" in ask(api, "ready")[1]
        change("UPDATE alembic_version SET version_num = '9999'")
        assert "revision 9999" in ask(api, "ready")[1]["schema"]
    (tmp_path / "storage" / "incoming").rmdir()
    (tmp_path / "storage" / "incoming").write_text("no folder")
    with api_of(settings) as api:
        assert "cannot be written" in ask(api, "ready")[1]["storage"]
    engine.dispose()


@pytest.mark.parametrize("error", [PermissionError("Forbidden"), NoCredentialsError()])
def test_a_bucket_that_lets_nobody_in_is_not_ready(
    settings: Settings, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3's status 403 is a PermissionError of the file system."""
    beat(settings.database_url)

    def refuse(path: str, data: bytes) -> None:
        raise error

    app = create_app(settings.model_copy(update={"storage_url": "memory://closed"}))
    monkeypatch.setattr(app.state.storage.fs, "pipe_file", refuse)
    with TestClient(app) as api:
        status, problems = ask(api, "ready")
    assert (status, problems) == (503, {"storage": "the storage cannot be written and read"})


def test_a_storage_that_returns_other_bytes_is_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage("memory://other")
    monkeypatch.setattr(storage.fs, "cat_file", lambda _: b"other")
    with pytest.raises(StorageError, match="differs from what was written"):
        storage.probe()


@pytest.mark.parametrize("away", ["stall", "dropped packets"])
def test_a_check_of_the_broker_ends_by_itself(settings: Settings, away: str) -> None:
    """One that never ended would be the last."""
    with before(settings.broker_url) as (through, proxy), black_hole() as port:
        proxy.set("stall")
        url = through if away == "stall" else f"redis://127.0.0.1:{port}/0"
        monitor = Monitor(settings.model_copy(update={"broker_url": url}), Storage(settings.storage_url))
        began = time.monotonic()
        (broker,) = monitor._check_broker()
        assert (broker.ok, time.monotonic() - began < RESPONSE_SECONDS) == (False, True)
        monitor.close()


def test_storage_without_credentials_counts_as_away() -> None:
    """A run then waits for it, as for a storage that does not respond."""
    with pytest.raises(StorageAway, match="credentials"), responding():
        raise NoCredentialsError
