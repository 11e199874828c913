"""The reporter of a run: what a stage tells is in the store, and what waits for it is bounded."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from backend.settings import Settings
from backend.store.database import connect, session_factory
from backend.store.metrics.tables import MetricPoint
from backend.store.registry.storage import Storage
from backend.store.runs.tables import Run
from backend.store.upkeep.states import read_state
from tests.worker.held_run import hold_run
from worker import reporter as module
from worker.context import Context
from worker.reporter import StoreReporter


@pytest.fixture
def held(database_url: str, tmp_path):
    """(context, run id, token) of a run that this process holds."""
    settings = Settings(database_url=database_url, broker_url="redis://", storage_url=f"file://{tmp_path}")
    engine = connect(database_url)
    here = Context(settings, session_factory(engine), Storage(settings.storage_url), "w")
    run_id, token = hold_run(here.sessions)
    yield here, run_id, token
    engine.dispose()


def written(here: Context, run_id: UUID) -> int:
    with here.sessions() as db:
        count = select(func.count()).select_from(MetricPoint).where(MetricPoint.run_id == run_id)
        return db.scalar(count) or 0


def test_a_stage_that_tells_points_faster_than_they_are_written_waits(
    held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_POINTS", 100)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 600)
    here, run_id, token = held
    reporter = StoreReporter(here, run_id, token)
    for step in range(1000):
        reporter.metrics(step, {"loss": 1.0, "lr": 0.1})
        assert len(reporter._points) < 100
    assert written(here, run_id) == 2000
    reporter.metrics(1000, {"loss": 1.0})
    reporter.close()
    assert written(here, run_id) == 2001


def test_a_state_that_grows_is_saved_without_what_is_being_written(held, tmp_path) -> None:
    here, run_id, token = held
    reporter = StoreReporter(here, run_id, token)
    state = tmp_path / "state"
    state.mkdir()
    for name in ("shard-0", "shard-1"):
        (state / name).write_text(name)
        (state / f".{uuid4().hex}.part").write_text("half")
        reporter.checkpoint(state)
    reporter.close()
    with here.sessions() as db:
        checkpoint = db.scalar(select(Run.checkpoint).where(Run.id == run_id))
    read_state(here.state_storage(run_id, token), checkpoint.partition("/")[2], tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["shard-0", "shard-1"]
