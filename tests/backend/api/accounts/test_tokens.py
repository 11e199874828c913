"""API tokens: what they may do, how long they live, and who makes them."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from alembic import command
from backend.api.app import PREFIX
from backend.store.database import alembic_config, connect, migrate
from vise_client.schemas.accounts import Role

PASSWORD = "correct horse battery"


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def create(api, token: str, **body):
    return api.post(f"{PREFIX}/tokens", json={"name": "script"} | body, headers=headers(token))


def test_by_default_a_token_has_the_scopes_of_its_role(api, sessions) -> None:
    made = create(api, sessions[Role.admin]).json()
    assert (made["role"], made["scopes"]) == ("admin", ["read", "run", "predict", "admin"])
    assert create(api, sessions[Role.admin], role="viewer").json()["scopes"] == ["read"]


def test_a_token_gives_no_more_than_the_session_that_made_it(api, sessions) -> None:
    made = create(api, sessions[Role.viewer], role="admin").json()
    assert (made["role"], made["scopes"]) == ("viewer", ["read"])
    assert api.get(f"{PREFIX}/users", headers=headers(made["token"])).status_code == 403
    refused = create(api, sessions[Role.editor], scopes=["read", "admin"])
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "scopes", "message": "the role editor has no scope admin"}]


def test_a_session_from_before_a_promotion_makes_no_token_of_the_new_role(api, sessions) -> None:
    admin = headers(sessions[Role.admin])
    user = api.get(f"{PREFIX}/users", params={"search": "editor"}, headers=admin).json()[0]
    api.patch(f"{PREFIX}/users/{user['id']}", json={"role": "admin"}, headers=admin)
    made = create(api, sessions[Role.editor], role="admin").json()
    assert made["role"] == "editor"
    assert api.get(f"{PREFIX}/users", headers=headers(made["token"])).status_code == 403


def test_a_token_with_one_scope_does_that_alone_and_says_what_it_lacks(api, sessions) -> None:
    token = create(api, sessions[Role.editor], scopes=["read"]).json()["token"]
    assert api.get(f"{PREFIX}/runs", headers=headers(token)).status_code == 200
    refused = api.post(f"{PREFIX}/runs", json={"stage": "ingest"}, headers=headers(token))
    assert refused.status_code == 403
    assert "a token with the scope run" in refused.json()["detail"]


def test_a_demoted_user_s_tokens_lose_the_scopes_of_the_old_role(api, sessions) -> None:
    token = create(api, sessions[Role.editor]).json()["token"]
    admin = headers(sessions[Role.admin])
    user = api.get(f"{PREFIX}/users", params={"search": "editor"}, headers=admin).json()[0]
    api.patch(f"{PREFIX}/users/{user['id']}", json={"role": "viewer"}, headers=admin)
    assert api.post(f"{PREFIX}/runs", json={}, headers=headers(token)).status_code == 403
    assert api.get(f"{PREFIX}/runs", headers=headers(token)).status_code == 200


def test_an_api_token_neither_makes_nor_lists_nor_revokes_tokens(api, sessions, tokens) -> None:
    other = create(api, sessions[Role.admin]).json()
    token = headers(tokens[Role.admin])
    assert create(api, tokens[Role.admin]).status_code == 403
    assert api.get(f"{PREFIX}/tokens", headers=token).status_code == 403
    assert api.delete(f"{PREFIX}/tokens/{other['id']}", headers=token).status_code == 403
    # It may end itself.
    assert api.post(f"{PREFIX}/auth/logout", headers=token).status_code == 204
    assert api.get(f"{PREFIX}/auth/me", headers=token).status_code == 401


def test_nobody_revokes_another_user_s_token(api, sessions) -> None:
    made = create(api, sessions[Role.editor]).json()
    path = f"{PREFIX}/tokens/{made['id']}"
    assert api.delete(path, headers=headers(sessions[Role.admin])).status_code == 404
    assert api.delete(path, headers=headers(sessions[Role.editor])).status_code == 204
    assert api.get(f"{PREFIX}/runs", headers=headers(made["token"])).status_code == 401


def until(made: dict) -> timedelta:
    return datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)


def test_a_token_lives_no_longer_than_its_session_unless_the_password_is_given(api, sessions) -> None:
    session = sessions[Role.editor]
    assert until(create(api, session).json()) <= timedelta(days=14)
    assert until(create(api, session, expires_days=3).json()) <= timedelta(days=3)
    refused = create(api, session, expires_days=90)
    assert refused.json()["errors"][0]["field"] == "expires_days"
    wrong = create(api, session, expires_days=90, password="not it at all")
    assert wrong.json()["errors"] == [{"field": "password", "message": "is not your password"}]
    assert until(create(api, session, expires_days=90, password=PASSWORD).json()) > timedelta(days=89)
    assert create(api, session, password=PASSWORD).json()["expires_at"] is None


def test_a_session_opened_by_a_link_ends_no_later_than_the_one_that_made_the_link(api, sessions) -> None:
    def session_of_link(token: str) -> dict:
        link = api.post(f"{PREFIX}/auth/link", headers=headers(token)).json()["link"]
        return api.post(f"{PREFIX}/auth/code", json={"code": link.partition("?code=")[2]}).json()

    with api.app.state.sessions.begin() as db:
        db.execute(text("UPDATE tokens SET expires_at = now() + interval '1 hour' WHERE kind = 'session'"))
    first = session_of_link(sessions[Role.viewer])
    second = session_of_link(first["token"])
    assert timedelta(minutes=55) < until(first) <= timedelta(hours=1)
    assert second["expires_at"] == first["expires_at"]


def test_tokens_of_earlier_versions_keep_what_their_role_allowed(database_url) -> None:
    command.downgrade(alembic_config(database_url), "0002")
    migrate(database_url)
    engine = connect(database_url)
    with engine.connect() as db:
        kept = dict(db.execute(text("SELECT DISTINCT role, array_to_string(scopes, ' ') FROM tokens")).all())
    engine.dispose()
    assert kept == {"viewer": "read", "editor": "read run predict", "admin": "read run predict admin"}
