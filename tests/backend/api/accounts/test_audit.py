"""Who changed what: written with the change, or not at all."""

import pytest

from backend.api.app import PREFIX
from backend.store.accounts.audit import KINDS
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role

PASSWORD = "correct horse battery"
SAMPLE = {"stage": "ingest", "spec": {"source": {"kind": "sample"}}, "name": "Spring"}


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def told(api, tokens, **query) -> list[tuple[str, str, str, str]]:
    page = api.get(f"{PREFIX}/audit", params=query, headers=headers(tokens[Role.admin])).json()
    return [(e["email"], e["action"], e["kind"], e["target"]) for e in page["items"]]


def test_the_life_of_a_run_is_told_newest_first(editor, tokens) -> None:
    run = editor.post(f"{PREFIX}/runs", json=SAMPLE).json()
    editor.patch(f"{PREFIX}/runs/{run['id']}", json={"name": "Autumn"})
    editor.post(f"{PREFIX}/runs/{run['id']}/pause")
    editor.post(f"{PREFIX}/runs/{run['id']}/resume")
    editor.post(f"{PREFIX}/runs/{run['id']}/cancel")
    editor.post(f"{PREFIX}/runs/{run['id']}/retry")
    editor.post(f"{PREFIX}/runs/{run['id']}/cancel")
    editor.delete(f"{PREFIX}/runs/{run['id']}")
    assert [(action, name) for _, action, _, name in told(editor, tokens, kind="run")] == [
        ("deleted", "Autumn"),
        ("cancelled", "Autumn"),
        ("retried", "Autumn"),
        ("cancelled", "Autumn"),
        ("resumed", "Autumn"),
        ("paused", "Autumn"),
        ("changed", "Autumn"),
        ("created", "Spring"),
    ]
    assert {who for who, *_ in told(editor, tokens, kind="run")} == {"editor@example.org"}


def test_a_change_tells_what_was_and_what_is(editor, tokens) -> None:
    run = editor.post(f"{PREFIX}/runs", json=SAMPLE).json()
    editor.patch(f"{PREFIX}/runs/{run['id']}", json={"name": "Autumn"})
    page = editor.get(
        f"{PREFIX}/audit", params={"search": run["id"]}, headers=headers(tokens[Role.admin])
    ).json()
    assert page["items"][0]["detail"] == {"name": ["Spring", "Autumn"]}


def test_a_recipe_is_one_line_and_not_one_a_step(editor, tokens) -> None:
    editor.post(f"{PREFIX}/recipes/runs", json={"recipe": "sample"})
    assert [(action, name) for _, action, _, name in told(editor, tokens, kind="run")] == [
        ("created", "Try it with sample data")
    ]


def test_what_is_refused_or_only_asked_leaves_no_line(editor, tokens) -> None:
    assert editor.post(f"{PREFIX}/runs", json={"stage": "pretrain"}).status_code == 422
    editor.get(f"{PREFIX}/runs")
    editor.post(f"{PREFIX}/stages/ingest/validate", json={})
    assert told(editor, tokens) == []


def test_users_and_tokens_are_told_and_no_secret_is(api, sessions) -> None:
    admin = headers(sessions[Role.admin])
    body = {"email": "new@example.org", "password": PASSWORD, "role": "viewer"}
    user = api.post(f"{PREFIX}/users", json=body, headers=admin).json()
    api.patch(f"{PREFIX}/users/{user['id']}", json={"role": "editor", "active": False}, headers=admin)
    made = api.post(f"{PREFIX}/tokens", json={"name": "script"}, headers=admin).json()
    api.delete(f"{PREFIX}/tokens/{made['id']}", headers=admin)
    page = api.get(f"{PREFIX}/audit", headers=admin)
    assert [(e["action"], e["kind"], e["target"]) for e in page.json()["items"]] == [
        ("deleted", "token", "script"),
        ("created", "token", "script"),
        ("changed", "user", "new@example.org"),
        ("created", "user", "new@example.org"),
    ]
    assert page.json()["items"][2]["detail"] == {"role": ["viewer", "editor"], "active": [True, False]}
    for secret in (PASSWORD, made["token"], "argon2"):
        assert secret not in page.text


def test_signing_in_and_out_is_told(api, tokens) -> None:
    login = {"email": "viewer@example.org", "password": PASSWORD}
    session = api.post(f"{PREFIX}/auth/login", json=login).json()
    api.post(f"{PREFIX}/auth/logout", headers=headers(session["token"]))
    assert [(who, action) for who, action, *_ in told(api, tokens)] == [
        ("viewer@example.org", "signed out"),
        ("viewer@example.org", "signed in"),
    ]


def test_the_log_is_paged_and_filtered(editor, tokens) -> None:
    for number in range(5):
        editor.post(f"{PREFIX}/runs", json=SAMPLE | {"name": f"run {number}"})
    admin = headers(tokens[Role.admin])
    first = editor.get(f"{PREFIX}/audit", params={"limit": 2}, headers=admin).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    second = editor.get(f"{PREFIX}/audit", params=query, headers=admin).json()
    names = [e["target"] for page in (first, second) for e in page["items"]]
    assert names == ["run 4", "run 3", "run 2", "run 1"]
    assert len(told(editor, tokens, search="run 3")) == 1
    assert told(editor, tokens, who="viewer") == []
    assert told(editor, tokens, until="2001-01-01T00:00:00Z") == []
    assert editor.get(f"{PREFIX}/audit", params={"kind": "dream"}, headers=admin).status_code == 422


@pytest.mark.parametrize("role", [Role.viewer, Role.editor])
def test_only_an_admin_reads_the_log(api, tokens, role: Role) -> None:
    assert api.get(f"{PREFIX}/audit", headers=headers(tokens[role])).status_code == 403


def test_the_log_does_not_hold_the_address_of_a_deleted_user(editor, tokens) -> None:
    editor.post(f"{PREFIX}/runs", json=SAMPLE)
    admin = headers(tokens[Role.admin])
    users = {user["email"]: user["id"] for user in editor.get(f"{PREFIX}/users", headers=admin).json()}
    user = f"{PREFIX}/users/{users['editor@example.org']}"
    editor.patch(user, json={"role": "viewer"}, headers=admin)
    assert "editor@example.org" in editor.get(f"{PREFIX}/audit", headers=admin).text
    assert editor.delete(user, headers=admin).status_code == 204
    assert "editor@example.org" not in editor.get(f"{PREFIX}/audit", headers=admin).text
    deleted, *before = editor.get(f"{PREFIX}/audit", params={"kind": "user"}, headers=admin).json()["items"]
    assert (deleted["action"], deleted["target"], deleted["target_id"]) == (
        "deleted",
        "deleted user",
        users["editor@example.org"],
    )
    assert {entry["target"] for entry in before} == {"deleted user"}


def test_a_new_password_needs_the_old_one_and_ends_other_sessions(api, tokens) -> None:
    login = {"email": "viewer@example.org", "password": PASSWORD}
    one, other = (api.post(f"{PREFIX}/auth/login", json=login).json()["token"] for _ in range(2))

    def change(token: str, current: str, new: str = "another long one"):
        body = {"current": current, "new": new}
        return api.post(f"{PREFIX}/auth/password", json=body, headers=headers(token))

    assert change(one, "wrong").json()["errors"][0]["field"] == "current"
    assert change(one, PASSWORD, "short").status_code == 422
    assert change(tokens[Role.viewer], PASSWORD).status_code == 403
    assert change(one, PASSWORD).status_code == 204
    assert api.get(f"{PREFIX}/auth/me", headers=headers(one)).status_code == 200
    assert api.get(f"{PREFIX}/auth/me", headers=headers(other)).status_code == 401
    assert api.get(f"{PREFIX}/auth/me", headers=headers(tokens[Role.viewer])).status_code == 200
    assert api.post(f"{PREFIX}/auth/login", json=login).status_code == 401
    again = login | {"password": "another long one"}
    assert api.post(f"{PREFIX}/auth/login", json=again).status_code == 200


def test_queues_tell_who_waits_for_nobody(editor) -> None:
    editor.post(f"{PREFIX}/runs", json=SAMPLE)
    queues = {queue["name"]: queue for queue in editor.get(f"{PREFIX}/queues").json()}
    assert {"cpu", "gpu", "predict"} <= queues.keys()
    assert (queues["cpu"]["waiting"], queues["cpu"]["workers"]) == (1, 0)
    assert queues["cpu"]["oldest_at"] is not None
    assert (queues["gpu"]["waiting"], queues["gpu"]["oldest_at"]) == (0, None)


def test_the_client_names_every_kind_of_the_log() -> None:
    assert all(kind in str(ViseClient.audit.__doc__) for kind in KINDS.values())
