"""A real API with one user, for commands that need a server."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from frontend.settings import session_cookie
from tests.serving import serving
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role

PASSWORD = "correct horse battery"


@pytest.fixture
def vise(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ViseClient]:
    """An editor's session, which the commands and the pages use."""
    settings = Settings(
        database_url=database_url, broker_url=broker_url, storage_url=f"file://{tmp_path}", home=tmp_path
    )
    engine = connect(database_url)
    with session_factory(engine).begin() as db:
        user = users.create_user(db, "ann@example.org", PASSWORD, Role.editor)
        token, _ = users.issue_token(db, user, "session", lifetime=timedelta(days=14))
    with serving(create_app(settings)) as url, ViseClient(url, token) as client:
        monkeypatch.setenv("VISE_API_URL", url)
        monkeypatch.setenv("VISE_TOKEN", token)
        monkeypatch.setattr(
            "streamlit.runtime.context.ContextProxy.cookies", property(lambda self: {session_cookie(): token})
        )
        yield client
    engine.dispose()
