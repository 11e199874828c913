"""The benchmark of lists and pages: what it writes is a database like ours, and it measures every call."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import func, select, text

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.database import connect, session_factory
from backend.store.metrics import chunks
from backend.store.metrics.tables import MetricChunk, MetricLatest, MetricPoint
from backend.store.runs.groups import list_groups
from backend.store.runs.run_list import Paging, RunFilter, list_runs
from benchmarks.stack.database import fill_database
from benchmarks.stack.servers import issue_token
from benchmarks.tracking_pages import time_api
from vise_client.client import ViseClient

WRONG_SUMMARIES = text(
    """
    SELECT count(*) FROM metric_latest m JOIN (
        SELECT run_id, key, min(value) AS low, max(value) AS high, max(step) AS step
        FROM metric_points GROUP BY run_id, key
    ) p USING (run_id, key)
    WHERE abs(m.min - p.low) > 1e-4 OR abs(m.max - p.high) > 1e-4 OR m.step <> p.step
    """
)
CHUNKS = select(MetricChunk.__table__).order_by(MetricChunk.run_id, MetricChunk.key, MetricChunk.chunk)


def test_it_writes_runs_points_and_what_lists_show_of_them(database_url: str) -> None:
    made = [run for ids in fill_database(database_url, 90, 36_000).values() for run in ids]
    engine = connect(database_url)
    with session_factory(engine)() as db:
        assert list_runs(db, RunFilter(nested=True), Paging(count=True)).total == 90
        assert len(made) == 80, "one in nine is a sweep"
        assert 28_000 < (db.scalar(select(func.count()).select_from(MetricPoint)) or 0) <= 36_000
        assert db.scalar(WRONG_SUMMARIES) == 0
        filled = db.execute(CHUNKS).all()
        assert len(filled) > 240, "one or two a curve"
        for run_id in made:
            keys = db.scalars(select(MetricLatest.key).where(MetricLatest.run_id == run_id))
            chunks.rebuild(db, run_id, dict.fromkeys(keys, 0))
        assert db.execute(CHUNKS).all() == filled
        groups = list_groups(
            db,
            RunFilter(nested=True, query="parent != none"),
            Paging(columns=("metric.val_accuracy",), limit=200),
        )
        # A group's numbers are over all its runs: single ones of the same spec are among them.
        assert max(group.runs for group in groups.items) >= 5
    engine.dispose()


def test_it_measures_every_call_that_the_runs_page_makes(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    """Against the API itself, through a client that needs no port."""
    fill_database(database_url, 60, 600)
    settings = Settings(
        database_url=database_url, broker_url=broker_url, storage_url=f"file://{tmp_path}", home=tmp_path
    )
    with TestClient(create_app(settings), base_url="http://testserver/api/v1") as http:
        client = ViseClient("http://testserver", issue_token(database_url))
        http.headers.update(client._http.headers)
        client._http = http
        times = time_api(client, 1)
    assert len(times) > 20
    assert all(0 < p50 <= p95 for p50, p95 in times.values())
