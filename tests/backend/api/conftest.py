"""The API over a real database, asked through ASGI, with a user of each role."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import connect, migrate, session_factory
from vise_client.schemas.accounts import Role

PASSWORD = "correct horse battery"


@pytest.fixture
def settings(database_url: str, broker_url: str, tmp_path: Path) -> Settings:
    migrate(database_url)
    (tmp_path / "data").mkdir()
    return Settings(
        database_url=database_url,
        broker_url=broker_url,
        storage_url=f"file://{tmp_path / 'storage'}",
        home=tmp_path,
        data_root=tmp_path / "data",
        max_upload_bytes=2 * 2**20,
    )


@pytest.fixture
def tokens(settings: Settings) -> dict[Role, str]:
    """A token for one user of each role."""
    made = {}
    engine = connect(settings.database_url)
    with session_factory(engine).begin() as db:
        for role in Role:
            user = users.create_user(db, f"{role}@example.org", PASSWORD, role)
            made[role], _ = users.issue_token(db, user, "api", lifetime=timedelta(hours=1))
    engine.dispose()
    return made


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    """Nobody is signed in."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def editor(api: TestClient, tokens: dict[Role, str]) -> TestClient:
    """The same API, asked by an editor."""
    api.headers["Authorization"] = f"Bearer {tokens[Role.editor]}"
    return api
