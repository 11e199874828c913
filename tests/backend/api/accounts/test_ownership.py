"""Editors change what is their own, admins everything, viewers nothing; the routes are found, not listed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.api.app import PREFIX
from backend.store.accounts import users
from backend.store.runs.create import create_run
from backend.store.runs.tables import Run, SavedView
from backend.store.serving.tables import Feedback
from tests.belongings import SAMPLE, belongings
from vise_client.schemas.accounts import Owned, Role, Scope

OPEN = {
    # These make something of one's own from what another has made.
    ("POST", f"{PREFIX}/runs/{{run_id}}/clone"),
    ("POST", f"{PREFIX}/ablations/{{ablation_id}}/points/{{number}}/launch"),
    # A label of nobody is given by anybody; those of others are tested below.
    ("PUT", f"{PREFIX}/predictions/{{prediction_id}}/feedback"),
}


def token(db: Session, email: str) -> dict[str, str]:
    user = users.find_user(db, email)
    assert user is not None
    return {"Authorization": f"Bearer {users.issue_token(db, user, 'api', lifetime=timedelta(hours=1))[0]}"}


def changes(api) -> list[tuple[str, str]]:
    """Every route by which editors change one thing."""
    ids = ("{run_id}", "{model_id}", "{ablation_id}", "{prediction_id}")
    return [
        (entry.method, entry.path)
        for entry in api.app.state.needs
        if entry.need is not None
        and entry.need.scopes & {Scope.run, Scope.predict}
        and Scope.read not in entry.need.scopes
        and entry.method != "GET"
        and any(id_ in entry.path for id_ in ids)
        and (entry.method, entry.path) not in OPEN
    ]


def test_every_route_that_changes_one_thing_passes_its_owner_and_admins_only(api, tokens) -> None:
    routes = changes(api)
    assert len(routes) >= 10
    for method, path in routes:
        with api.app.state.sessions.begin() as db:
            users.find_user(db, "other@example.org") or users.create_user(
                db, "other@example.org", None, Role.editor
            )
            ids = belongings(db, "editor@example.org")
            other = token(db, "other@example.org")
        address = path.format(**ids)
        refused = api.request(method, address, json={}, headers=other)
        if path.endswith("/feedback"):
            assert refused.status_code == 404, (method, path)  # There is no label yet.
            continue
        assert refused.status_code == 403, (method, path)
        assert "belongs to another user" in refused.json()["detail"]
        for role in (Role.admin, Role.editor):
            headers = {"Authorization": f"Bearer {tokens[role]}"}
            status = api.request(method, address, json={}, headers=headers).status_code
            assert status not in (401, 403), (method, path, role)


NAMED_IN_BODIES: dict[tuple[str, str], Callable[[dict[str, str]], dict[str, object]] | None] = {
    # Changes what it names: a function that makes its body, which others are refused for.
    ("POST", "/models"): lambda ids: {"run_id": ids["run_id"], "name": "m"},
    # Changes what it names of one's own only, and says so of each; tested below.
    ("POST", "/runs/bulk"): None,
    # Reads what it names, as everybody may, or makes something of one's own from it.
    ("POST", "/predictions"): None,
    ("POST", "/stages/{name}/validate"): None,
    ("POST", "/runs"): None,
    ("POST", "/runs/compare"): None,
    ("POST", "/metrics/query"): None,
    ("POST", "/recipes/runs"): None,
    ("POST", "/sweeps"): None,
    ("POST", "/runs/{run_id}/clone"): None,
    ("POST", "/engagement"): None,
    ("POST", "/ablations"): None,
}


def names_an_id(document: dict[str, Any], schema: dict[str, Any], seen: tuple[str, ...] = ()) -> bool:
    """Whether a UUID may stand anywhere in a value of this schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name not in seen and names_an_id(
            document, document["components"]["schemas"][name], (*seen, name)
        )
    parts = [part for union in ("anyOf", "oneOf") for part in schema.get(union, ())]
    parts += [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return schema.get("format") == "uuid" or any(
        names_an_id(document, part, seen) for part in parts if isinstance(part, dict)
    )


def test_every_route_whose_body_or_query_names_a_thing_has_a_rule(api, tokens) -> None:
    document = api.app.openapi()
    found = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            schemas = [c["schema"] for c in operation.get("requestBody", {}).get("content", {}).values()]
            schemas += [p["schema"] for p in operation.get("parameters", ()) if p["in"] == "query"]
            if method != "get" and any(names_an_id(document, schema) for schema in schemas):
                found.add((method.upper(), path.removeprefix(PREFIX)))
    assert found == NAMED_IN_BODIES.keys()
    with api.app.state.sessions.begin() as db:
        users.create_user(db, "other@example.org", None, Role.editor)
        db.flush()
        ids, other = belongings(db, "editor@example.org"), token(db, "other@example.org")
    for (method, path), body in NAMED_IN_BODIES.items():
        if body is None:
            continue
        refused = api.request(method, PREFIX + path, json=body(ids), headers=other)
        assert refused.status_code == 403, (method, path)
        assert "belongs to another user" in refused.json()["detail"]
        for role in (Role.admin, Role.editor):
            headers = {"Authorization": f"Bearer {tokens[role]}"}
            status = api.request(method, PREFIX + path, json=body(ids), headers=headers).status_code
            assert status not in (401, 403), (method, path, role)


def test_the_default_model_of_another_user_is_replaced_by_admins_only(api, tokens) -> None:
    with api.app.state.sessions.begin() as db:
        users.create_user(db, "other@example.org", None, Role.editor)
        db.flush()
        mine, theirs = belongings(db, "editor@example.org"), belongings(db, "other@example.org")
        other = token(db, "other@example.org")
    editor, admin = ({"Authorization": f"Bearer {tokens[role]}"} for role in (Role.editor, Role.admin))

    def make_default(ids: dict[str, str], headers: dict[str, str]) -> int:
        path = f"{PREFIX}/models/{ids['model_id']}"
        status: int = api.patch(path, json={"default": True}, headers=headers).status_code
        return status

    # There is none yet; then it is the editor's.
    assert [make_default(mine, editor), make_default(mine, editor), make_default(theirs, other)] == [
        200,
        200,
        403,
    ]
    assert [make_default(theirs, admin), make_default(mine, editor)] == [200, 403]
    assert make_default(mine, admin) == 200


def test_a_label_is_changed_by_who_gave_it_and_by_whose_prediction_it_is(api, tokens) -> None:
    with api.app.state.sessions.begin() as db:
        third = users.create_user(db, "third@example.org", None, Role.editor)
        users.create_user(db, "other@example.org", None, Role.editor)
        db.flush()
        ids = belongings(db, "editor@example.org")
        db.add(
            Feedback(
                prediction_id=ids["prediction_id"], task="t", label="a", predicted="a", model="m", picture=b"",
                sha256="0", synthetic=False, created_by=third.id,
            )
        )  # fmt: skip
        other, giver = token(db, "other@example.org"), token(db, "third@example.org")
    path = f"{PREFIX}/predictions/{ids['prediction_id']}/feedback"
    (label,) = api.get(f"{PREFIX}/feedback", headers=other).json()["items"]
    by_id = f"{PREFIX}/feedback/{label['id']}"
    owner = {"Authorization": f"Bearer {tokens[Role.editor]}"}
    assert api.put(path, json={"label": "b"}, headers=other).status_code == 403
    assert api.delete(path, headers=other).status_code == 403
    for headers in (giver, owner):
        assert api.put(path, json={"label": "b"}, headers=headers).status_code == 200
    # The owner's now, whose labels the giver changes no more; a label of another is the owner's too.
    with api.app.state.sessions.begin() as db:
        db.execute(update(Feedback).values(created_by=users.find_user(db, "third@example.org").id))
    assert [api.delete(by_id, headers=headers).status_code for headers in (other, owner)] == [403, 204]


def test_an_action_on_many_runs_leaves_those_of_others_as_they_are(api, tokens) -> None:
    with api.app.state.sessions.begin() as db:
        mine = belongings(db, "editor@example.org")["run_id"]
        theirs = belongings(db, "admin@example.org")["run_id"]
    body = {"action": "tag", "ids": [mine, theirs], "tags": ["x"]}
    outcomes = api.post(
        f"{PREFIX}/runs/bulk", json=body, headers={"Authorization": f"Bearer {tokens[Role.editor]}"}
    ).json()
    assert {outcome["id"]: outcome["done"] for outcome in outcomes} == {mine: True, theirs: False}
    with api.app.state.sessions() as db:
        assert db.get_one(Run, theirs).tags == []


def test_what_has_no_owner_any_more_is_the_admins(api, tokens) -> None:
    with api.app.state.sessions.begin() as db:
        run_id = create_run(db, SAMPLE, None).id
    path = f"{PREFIX}/runs/{run_id}"
    for role, status in ((Role.editor, 403), (Role.admin, 200)):
        headers = {"Authorization": f"Bearer {tokens[role]}"}
        assert api.patch(path, json={"notes": "mine"}, headers=headers).status_code == status


def test_the_api_says_what_one_may_change_as_its_routes_do(api, tokens, sessions) -> None:
    state = {"filters": {}, "columns": []}
    with api.app.state.sessions.begin() as db:
        users.create_user(db, "other@example.org", None, Role.editor)
        db.flush()
        ids = belongings(db, "editor@example.org")
        editor = users.find_user(db, "editor@example.org")
        assert editor is not None
        view = SavedView(owner_id=editor.id, name="v", state=state, shared=True)
        db.add(view)
        db.add(
            Feedback(
                prediction_id=ids["prediction_id"], task="t", label="a", predicted="a", model="m", picture=b"",
                sha256="0", synthetic=False, created_by=editor.id,
            )
        )  # fmt: skip
        db.flush()
        things = {
            Owned.run: ("PATCH", "/runs/{}", ids["run_id"]),
            Owned.model: ("PATCH", "/models/{}", ids["model_id"]),
            Owned.ablation: ("PATCH", "/ablations/{}", ids["ablation_id"]),
            Owned.prediction: ("DELETE", "/predictions/{}", ids["prediction_id"]),
            Owned.label: ("PUT", "/predictions/{}/feedback", ids["prediction_id"]),
            Owned.view: ("PATCH", "/views/{}", str(view.id)),
        }
        other = token(db, "other@example.org")
    assert set(things) == set(Owned)
    callers = {role: {"Authorization": f"Bearer {sessions[role]}"} for role in Role} | {"other": other}
    for caller, headers in callers.items():
        may = caller in (Role.editor, Role.admin)
        for kind, (method, path, thing_id) in things.items():
            query = {"kind": kind, "id": [thing_id, str(uuid4())]}
            answer = api.get(f"{PREFIX}/changeable", params=query, headers=headers)
            assert answer.json() == ([thing_id] if may else []), (caller, kind)
            if kind in (Owned.prediction, Owned.view):
                continue  # The one would be deleted, the other is not found by others.
            # A label, which all others refuse as an unknown field: who may change the thing is told so.
            status = api.request(
                method, PREFIX + path.format(thing_id), json={"label": "b"}, headers=headers
            ).status_code
            assert (status not in (401, 403)) == may, (caller, kind, status)
