"""The API over a real database, asked through ASGI, with a user of each role."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from vise_client.schemas.accounts import Role

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Accounts:
    """Name of a database that has one user of each role, and a token of each."""

    database: str
    tokens: dict[Role, str]
    sessions: dict[Role, str]


@pytest.fixture(scope="session")
def accounts(
    new_database: Callable[..., AbstractContextManager[str]], migrated_template: str
) -> Iterator[Accounts]:
    """Made once: hashing three passwords costs more than most tests here."""
    tokens, sessions = {}, {}
    with new_database(migrated_template) as url:
        engine = connect(url)
        with session_factory(engine).begin() as db:
            for role in Role:
                user = users.create_user(db, f"{role}@example.org", PASSWORD, role)
                tokens[role], _ = users.issue_token(db, user, "api", lifetime=timedelta(days=1))
                sessions[role], _ = users.issue_token(db, user, "session", lifetime=timedelta(days=14))
        engine.dispose()
        yield Accounts(str(make_url(url).database), tokens, sessions)


@pytest.fixture
def database_url(
    new_database: Callable[..., AbstractContextManager[str]], accounts: Accounts
) -> Iterator[str]:
    """SQLAlchemy URL of a database with our tables and the accounts, dropped after the test."""
    with new_database(accounts.database) as url:
        yield url


@pytest.fixture
def tokens(accounts: Accounts) -> dict[Role, str]:
    """A token for one user of each role."""
    return dict(accounts.tokens)


@pytest.fixture
def sessions(accounts: Accounts) -> dict[Role, str]:
    """The token of a session for one user of each role."""
    return dict(accounts.sessions)


@pytest.fixture
def settings(database_url: str, broker_url: str, tmp_path: Path) -> Settings:
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
def api(settings: Settings) -> Iterator[TestClient]:
    """Nobody is signed in."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def editor(api: TestClient, tokens: dict[Role, str]) -> TestClient:
    """The same API, asked by an editor."""
    api.headers["Authorization"] = f"Bearer {tokens[Role.editor]}"
    return api
