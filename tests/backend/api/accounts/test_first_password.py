"""A user without a password, such as the admin that `vise up` creates, gets the first one where no stolen session can."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from backend.api.app import PREFIX
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.accounts.users import FRESH
from tests.commands import run_vise
from vise_client.schemas.accounts import Role

EMAIL, NEW = "admin@localhost", "correct horse battery staple"


@pytest.fixture
def code(api: TestClient) -> str:
    """The code of the link that `vise up` prints."""
    with api.app.state.sessions.begin() as db:
        user = users.create_user(db, EMAIL, None, Role.admin)
        return users.issue_token(db, user, "login-code", lifetime=timedelta(hours=1))[0]


def redeem(api: TestClient, code: str) -> dict[str, str]:
    """Header of the session that a link begins."""
    token = api.post(f"{PREFIX}/auth/code", json={"code": code}).json()["token"]
    return {"Authorization": f"Bearer {token}"}


def set_password(api: TestClient, headers: dict[str, str], current: str = ""):
    return api.post(f"{PREFIX}/auth/password", json={"current": current, "new": NEW}, headers=headers)


def sign_in(api: TestClient) -> int:
    return api.post(f"{PREFIX}/auth/login", json={"email": EMAIL, "password": NEW}).status_code


def test_a_session_that_a_link_of_the_server_has_just_begun_sets_it_once(api: TestClient, code: str) -> None:
    session = redeem(api, code)
    assert set_password(api, session).status_code == 204
    assert sign_in(api) == 200
    assert set_password(api, session).json()["errors"][0]["field"] == "current"


def test_a_session_does_not_set_it_by_a_link_that_it_has_made(api: TestClient, code: str) -> None:
    session = redeem(api, code)
    for _ in range(2):
        link = api.post(f"{PREFIX}/auth/link", headers=session).json()["link"]
        session = redeem(api, link.partition("?code=")[2])
        refused = set_password(api, session)
        assert (refused.status_code, "vise admin password" in refused.json()["detail"]) == (403, True)
    assert sign_in(api) == 401


def test_an_old_session_does_not_set_it(api: TestClient, code: str) -> None:
    session = redeem(api, code)
    with api.app.state.sessions.begin() as db:
        db.execute(
            text("UPDATE tokens SET created_at = now() - :age * interval '1 s'"), {"age": FRESH.seconds}
        )
    assert set_password(api, session).status_code == 403
    assert sign_in(api) == 401


def test_the_server_s_command_sets_a_password_and_ends_sessions_and_links(
    api: TestClient, code: str, settings: Settings
) -> None:
    session = redeem(api, code)
    link = api.post(f"{PREFIX}/auth/link", headers=session).json()["link"].partition("?code=")[2]
    environment = {
        "VISE_DATABASE_URL": settings.database_url,
        "VISE_BROKER_URL": settings.broker_url,
        "VISE_STORAGE_URL": settings.storage_url,
        "VISE_ADMIN_PASSWORD": NEW,
        "HOME": str(settings.home),
    }
    done = run_vise("admin", "password", EMAIL, environment=environment)
    assert done.stdout == f"{EMAIL} has a new password\n", done.stderr
    assert sign_in(api) == 200
    assert api.get(f"{PREFIX}/auth/me", headers=session).status_code == 401
    assert api.post(f"{PREFIX}/auth/code", json={"code": link}).status_code == 401
    unknown = run_vise("admin", "password", "\x1b[2Jnobody", environment=environment)
    assert (unknown.returncode != 0, "\x1b" in unknown.stderr) == (True, False)
    assert "there is no user" in unknown.stderr
