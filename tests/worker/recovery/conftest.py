"""What a worker knows of its surroundings, without a worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import Settings
from backend.store.database import SHORT, Limits, connect, session_factory
from backend.store.registry.storage import Storage
from worker.context import Context


@pytest.fixture
def limits() -> Limits:
    """How long statements and transactions may take."""
    return SHORT


@pytest.fixture
def context(database_url: str, broker_url: str, tmp_path: Path, limits: Limits) -> Iterator[Context]:
    settings = Settings(
        database_url=database_url,
        broker_url=broker_url,
        storage_url=f"file://{tmp_path / 'storage'}",
        home=tmp_path,
        data_root=tmp_path / "data",
        lease_seconds=4,
    )
    engine = connect(database_url, limits=limits)
    yield Context(settings, session_factory(engine), Storage(settings.storage_url), "w")
    engine.dispose()
