"""Every route is closed until it is opened on purpose (MLflow's CVE-2026-0545 was a route that nobody closed)."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from backend.api import needs
from backend.api.app import PREFIX
from backend.store.accounts import users
from vise_client.schemas.accounts import ROLE_SCOPES, Role

PUBLIC = {
    *(("GET", f"{PREFIX}/{name}") for name in ("health", "ready", "live")),
    ("POST", f"{PREFIX}/auth/login"),
    ("POST", f"{PREFIX}/auth/code"),
}
# What every signed-in person may do with what is their own, or ask without changing anything.
FOR_VIEWERS = {
    ("POST", f"{PREFIX}/auth/link"),
    ("POST", f"{PREFIX}/auth/logout"),
    ("POST", f"{PREFIX}/auth/password"),
    ("POST", f"{PREFIX}/tokens"),
    ("DELETE", f"{PREFIX}/tokens/{{token_id}}"),
    ("POST", f"{PREFIX}/metrics/query"),
    ("POST", f"{PREFIX}/runs/compare"),
    ("POST", f"{PREFIX}/views"),
    ("PATCH", f"{PREFIX}/views/{{view_id}}"),
    ("DELETE", f"{PREFIX}/views/{{view_id}}"),
}
READING = {"GET", "HEAD"}


def routes(api: TestClient) -> list[tuple[str, str]]:
    """(method, path) of all that the application serves, its documentation pages aside."""
    schema = api.get(f"{PREFIX}/openapi.json").json()
    return [(method.upper(), path) for path, item in schema["paths"].items() for method in item]


def ask(api: TestClient, method: str, path: str, token: str | None = None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return api.request(method, re.sub(r"\{\w+\}", str(uuid4()), path), headers=headers)


def test_the_walk_sees_every_route_that_the_application_has(api) -> None:
    """Routes left out of the OpenAPI document would escape the walk."""

    def paths(routes, prefix=""):
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                yield from paths(inner.routes, prefix + getattr(route.include_context, "prefix", ""))
            elif hasattr(route, "methods"):
                yield from ((method, prefix + route.path) for method in route.methods - {"HEAD", "OPTIONS"})

    found = set(paths(api.app.routes))
    documented = set(routes(api))
    assert len(documented) > 35
    extra = {path for method, path in found if path.startswith("/") and (method, path) not in documented}
    assert {p for p in extra if "docs" not in p and "openapi" not in p} == set()


def test_without_a_token_every_route_but_the_public_ones_says_401(api, tokens) -> None:
    for method, path in routes(api):
        response = ask(api, method, path)
        if (method, path) in PUBLIC:
            assert response.status_code != 401 or path.endswith(("login", "code")), (method, path)
        else:
            assert response.status_code == 401, (method, path)
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["", "vise_nonsense", "a" * 5000])
def test_a_wrong_token_is_no_token(api, token) -> None:
    assert api.get(f"{PREFIX}/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_viewer_changes_nothing(api, tokens, sessions) -> None:
    for method, path in routes(api):
        if method not in READING and (method, path) not in PUBLIC | FOR_VIEWERS:
            for token in (tokens[Role.viewer], sessions[Role.viewer]):
                assert ask(api, method, path, token).status_code == 403, (method, path)


def expected(need: str, scopes: set[str], *, session: bool) -> bool:
    """Whether a route lets a token in, said a second time, from the words of the documentation."""
    match need:
        case "any token":
            return True
        case "session":
            return session
        case "session or run":
            return session or "run" in scopes
        case _:
            return bool(scopes & set(need.split(" or ")))


@pytest.mark.parametrize("role", Role)
def test_every_route_lets_in_the_scopes_that_it_declares_and_no_other(api, role: Role) -> None:
    """Each role, as a session and with each set of scopes of an API token, at each route."""
    table = api.app.state.needs
    assert {(entry.method, entry.path) for entry in table} == set(routes(api))
    allowed = ROLE_SCOPES[role]
    kinds = [("session", allowed), *(("api", (scope,)) for scope in allowed), ("api", allowed)]
    with api.app.state.sessions.begin() as db:
        user = users.find_user(db, f"{role}@example.org")
        made = [
            (kind, scopes, users.issue_token(db, user, kind, lifetime=timedelta(hours=1), scopes=scopes)[0])
            for kind, scopes in kinds
        ]
    # What ends the token comes last.
    for entry in sorted(table, key=lambda entry: entry.path.endswith("logout")):
        if entry.need is None:
            continue
        for kind, scopes, token in made:
            status = ask(api, entry.method, entry.path, token).status_code
            passes = expected(entry.need.name, {str(scope) for scope in scopes}, session=kind == "session")
            assert (status not in (401, 403)) is passes, (entry, kind, scopes, status)


def test_a_route_that_declares_nothing_or_twice_is_refused_when_the_application_is_made() -> None:
    for dependencies in ([], [needs.read, needs.admin]):
        router = APIRouter()
        router.add_api_route("/new", lambda: None, dependencies=dependencies)
        with pytest.raises(needs.Undeclared, match="/new"):
            needs.table("", [router])


def test_an_editor_manages_neither_users_nor_data(api, tokens) -> None:
    for method, path in routes(api):
        managing = "/users" in path or ("/datasets" in path and method != "GET")
        if managing:
            assert ask(api, method, path, tokens[Role.editor]).status_code == 403, (method, path)


def test_a_session_ends_with_logout_and_a_shut_off_user_is_out_at_once(api, tokens) -> None:
    admin = {"Authorization": f"Bearer {tokens[Role.admin]}"}
    session = api.post(
        f"{PREFIX}/auth/login", json={"email": "editor@example.org", "password": "correct horse battery"}
    )
    token = {"Authorization": f"Bearer {session.json()['token']}"}
    assert api.get(f"{PREFIX}/auth/me", headers=token).json()["email"] == "editor@example.org"
    assert api.post(f"{PREFIX}/auth/logout", headers=token).status_code == 204
    assert api.get(f"{PREFIX}/auth/me", headers=token).status_code == 401

    user = next(u for u in api.get(f"{PREFIX}/users", headers=admin).json() if u["role"] == "editor")
    assert api.patch(f"{PREFIX}/users/{user['id']}", json={"active": False}, headers=admin).status_code == 200
    assert ask(api, "GET", f"{PREFIX}/runs", tokens[Role.editor]).status_code == 401


def test_a_session_makes_sign_in_links_and_an_api_token_does_not(api, tokens) -> None:
    assert ask(api, "POST", f"{PREFIX}/auth/link", tokens[Role.admin]).status_code == 403
    body = {"email": "viewer@example.org", "password": "correct horse battery"}
    session = api.post(f"{PREFIX}/auth/login", json=body).json()
    made = ask(api, "POST", f"{PREFIX}/auth/link", session["token"])
    address, _, code = made.json()["link"].partition("?code=")
    assert (made.status_code, address) == (201, "http://127.0.0.1:8501/auth/login")
    signed_in = [api.post(f"{PREFIX}/auth/code", json={"code": code}) for _ in range(2)]
    assert [answer.status_code for answer in signed_in] == [200, 401]
    assert signed_in[0].json()["user"]["email"] == "viewer@example.org"
