"""Workers and dispatchers of another version than the database's tables end, and say which of the two to change."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.settings import Settings
from backend.store.database import connect, session_factory
from backend.store.registry.storage import Storage
from tests.proxy import before
from worker.context import Context, require_schema


@pytest.mark.parametrize("command", [("dispatch",), ("run", "--queues", "cpu")])
@pytest.mark.parametrize(
    ("revision", "sentence"), [("9999", "another version has migrated it"), ("0001", "run `vise migrate`")]
)
def test_a_process_ends_with_the_sentence(
    database_url: str,
    broker_url: str,
    tmp_path: Path,
    command: tuple[str, ...],
    revision: str,
    sentence: str,
) -> None:
    engine = connect(database_url)
    with engine.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    engine.dispose()
    environment = os.environ | {
        "VISE_DATABASE_URL": database_url,
        "VISE_BROKER_URL": broker_url,
        "VISE_STORAGE_URL": f"file://{tmp_path}",
        "VISE_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "worker", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert sentence in done.stderr


def test_a_process_that_starts_while_the_database_is_away_waits_for_it(
    database_url: str, broker_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with before(database_url) as (through, proxy):
        settings = Settings(database_url=through, broker_url=broker_url, storage_url=f"file://{tmp_path}")
        engine = connect(through)
        context = Context(settings, session_factory(engine), Storage(settings.storage_url), "w")
        proxy.set("refuse")
        heal = threading.Timer(1.2, proxy.set, ["pass"])
        heal.start()
        require_schema(context, threading.Event())
        assert not heal.is_alive(), "it has waited"
        assert "the database does not respond; retrying" in caplog.text
        engine.dispose()


@pytest.mark.parametrize(
    ("command", "count"),
    [
        (("dispatch",), "SELECT count(*) FROM dispatchers"),
        (("run", "--queues", "cpu"), "SELECT count(*) FROM workers"),
    ],
)
def test_a_process_that_beats_ends_once_another_version_migrates_the_database(
    database_url: str, broker_url: str, tmp_path: Path, command: tuple[str, ...], count: str
) -> None:
    environment = os.environ | {
        "VISE_DATABASE_URL": database_url,
        "VISE_BROKER_URL": broker_url,
        "VISE_STORAGE_URL": f"file://{tmp_path}",
        "VISE_HOME": str(tmp_path),
    }
    engine = connect(database_url)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", *command], env=environment, stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + 120
        while True:
            with engine.begin() as db:
                if db.scalar(text(count)):
                    break
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        with engine.begin() as db:
            db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        process.wait(120)
    finally:
        process.kill()
        process.wait()
        engine.dispose()
    assert "another version has migrated it" in (tmp_path / "log").read_text()
