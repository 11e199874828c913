"""Runs that lose their workers: many at once, while another transaction locks one, and after a pause of the database."""

import threading
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select, text

from backend.settings import Settings
from backend.store.database import connect, plain_url, session_factory
from backend.store.registry.storage import Storage
from backend.store.runs.create import create_run
from backend.store.runs.states import reconcile
from backend.store.runs.states.attempts import RetryPolicy
from backend.store.runs.states.lease import claim_run
from backend.store.runs.tables import Run
from vise_client.schemas.launch import RunCreate
from worker.context import Context

RUNS = 5


@pytest.fixture
def context(database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    values = {
        "database_url": database_url,
        "broker_url": broker_url,
        "storage_url": f"file://{tmp_path / 'storage'}",
        "home": str(tmp_path),
        "reconcile_seconds": "3600",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"VISE_{name.upper()}", value)
    monkeypatch.setattr(reconcile, "EXPIRED", 2)
    engine = connect(database_url)
    made = Context(Settings(), session_factory(engine), Storage(values["storage_url"]), "dispatch")
    spec = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}
    with made.sessions.begin() as db:
        for _ in range(RUNS):
            run_id = create_run(db, RunCreate(stage="ingest", spec=spec), None).id
            claim_run(db, run_id, "w", 600)
        db.execute(text("DELETE FROM outbox"))
        db.execute(text("UPDATE runs SET lease_until = now() - interval '1 s'"))
    yield made
    engine.dispose()


def queued(context: Context) -> int:
    with context.sessions() as db:
        return db.scalar(select(func.count()).select_from(Run).where(Run.state == "queued")) or 0


def test_one_call_takes_back_some_and_says_that_there_may_be_more(context: Context) -> None:
    results = []
    for _ in range(4):
        with context.sessions.begin() as db:
            policy = RetryPolicy(5, 2, 5, 10)
            done = reconcile.reconcile(
                db, retries=policy, republish_seconds=20, prediction_timeout_seconds=60
            )
        results.append((done.requeued, done.more))
    assert results == [(2, True), (2, True), (1, False), (0, False)]


def test_the_dispatcher_goes_on_at_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker import dispatch

    monkeypatch.setattr(dispatch, "_publish", lambda _: (True, False))
    stop = threading.Event()
    thread = threading.Thread(target=dispatch._serve, args=(context, stop, dispatch.Watch(0)))
    thread.start()
    try:
        until = time.monotonic() + 20
        while queued(context) < RUNS:
            assert time.monotonic() < until, queued(context)
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()


def test_the_dispatcher_reports_runs_that_another_transaction_locks(
    context: Context, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    from worker import dispatch

    with psycopg.connect(plain_url(database_url), application_name="a person") as other:
        other.execute("SELECT 1 FROM runs FOR UPDATE")
        dispatch._reconcile(context, dispatch.Watch(0))
        assert queued(context) == 0
        assert f"{RUNS} runs have lost their worker" in caplog.text
        assert "another transaction locks them" in caplog.text
    dispatch._reconcile(context, dispatch.Watch(0))
    assert queued(context) == 2


def test_after_a_pause_of_the_database_workers_renew_their_leases_first(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker import dispatch

    now = 1000.0
    monkeypatch.setattr(dispatch.time, "monotonic", lambda: now)
    watch = dispatch.Watch(10)
    dispatch._reconcile(context, watch)
    assert queued(context) == 0
    now += 4.9
    assert not watch.settled()
    now += 0.2
    dispatch._reconcile(context, watch)
    assert queued(context) == 2
    now += 9
    assert watch.settled(), "the database was reached within a lease"
    now += 11
    assert not watch.settled()
