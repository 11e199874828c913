"""The benchmark against MLflow: its searches are ones of ours, and runs are logged whole."""

from __future__ import annotations

from pathlib import Path

from backend.store.database import connect, session_factory
from backend.store.runs.run_list import Paging, RunFilter, list_runs
from benchmarks.stack.database import fill_database
from benchmarks.tracking_mlflow import SEARCHES, log_ours


def test_its_searches_find_runs(database_url: str) -> None:
    fill_database(database_url, 300, 300)
    engine = connect(database_url)
    with session_factory(engine)() as db:
        for (query, sort), _ in SEARCHES.values():
            page = list_runs(db, RunFilter(nested=True, kind="stage", query=query), Paging(sort, count=True))
            assert 0 < (page.total or 0) < 267, query
    engine.dispose()


def test_all_points_are_logged(database_url: str, broker_url: str, tmp_path: Path) -> None:
    ours = {"database": database_url, "broker": broker_url, "storage": f"file://{tmp_path}"}
    assert log_ours(ours, 50) > 0
