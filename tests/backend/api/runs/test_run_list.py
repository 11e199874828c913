"""The runs desk over HTTP: queries and their errors, columns, bulk actions, notes, saved views."""

from __future__ import annotations

import pytest

from backend.api.app import PREFIX
from vise_client.schemas.accounts import Role

SAMPLE = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}


def create(api, **body):
    made = api.post(f"{PREFIX}/runs", json={"stage": "ingest", "spec": SAMPLE, **body})
    assert made.status_code == 201, made.text
    return made.json()


def found(api, **query) -> list[str]:
    response = api.get(f"{PREFIX}/runs", params=query)
    assert response.status_code == 200, response.text
    return [run["name"] for run in response.json()["items"]]


def test_a_query_finds_and_a_wrong_one_says_where(editor) -> None:
    create(editor, name="one", tags=["red"])
    create(editor, name="two", spec={**SAMPLE, "posts_per_shard": 7})
    assert found(editor, query="tag = red or spec.posts_per_shard = 7", sort="created") == ["one", "two"]
    assert found(editor, query="stage = ingest and spec.posts_per_shard < 10 and created > -1h") == ["two"]
    refused = editor.get(f"{PREFIX}/runs", params={"query": "stage = brew"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "query"
    assert refused.json()["errors"][0]["message"].startswith("at character 9: expected one of ingest")


@pytest.mark.parametrize(
    "sort",
    [
        "duration",
        "-started",
        "spec.posts_per_shard",
        "-spec.source.kind",
        "metric.posts",
        "-metric.posts:max",
    ],
)
def test_pages_in_any_order_hold_every_run_once(editor, sort: str) -> None:
    for n in range(7):
        create(editor, name=f"run {n}", spec={**SAMPLE, "posts_per_shard": 1 + n % 3})
    seen, cursor = [], None
    while True:
        query = {"sort": sort, "limit": 2, "column": "spec.posts_per_shard"}
        page = editor.get(f"{PREFIX}/runs", params=query | ({"cursor": cursor} if cursor else {})).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len({run["id"] for run in seen}) == len(seen) == 7
    if "posts_per_shard" in sort:
        shards = [run["columns"]["spec.posts_per_shard"] for run in seen]
        assert shards == sorted(shards) == [1, 1, 1, 2, 2, 3, 3]


def test_columns_are_loaded_on_demand_and_counted_when_asked(editor) -> None:
    create(editor)
    page = editor.get(f"{PREFIX}/runs", params={"column": ["spec.source.kind", "name"], "count": True}).json()
    assert (page["items"][0]["columns"], page["total"]) == ({"spec.source.kind": "sample"}, 1)
    assert editor.get(f"{PREFIX}/runs").json()["items"][0]["columns"] == {}
    assert editor.get(f"{PREFIX}/runs", params={"column": "spec.nope"}).status_code == 422
    assert editor.get(f"{PREFIX}/runs", params={"sort": "spec.nope"}).status_code == 422


def test_groups_over_http(editor) -> None:
    body = {"spec": {"stage": "ingest", "base": SAMPLE, "grid": {"seed": [0, 1, 2]}}}
    editor.post(f"{PREFIX}/sweeps", json=body)
    groups = editor.get(f"{PREFIX}/runs/groups", params={"count": True}).json()
    (group,) = groups["items"]
    assert (groups["total"], group["runs"], group["succeeded"], group["requested"]) == (1, 3, 0, 3)
    assert group["warning"] == "0 of 3 seeds and splits: 3 queued"
    assert len(found(editor, query=f"group = {group['group_key']}", all=True)) == 3
    assert editor.get(f"{PREFIX}/runs/groups", params={"sort": "name"}).status_code == 422
    assert editor.get(f"{PREFIX}/runs/groups", params={"cursor": "xx"}).status_code == 422


def test_the_vocabulary_has_what_there_is(editor) -> None:
    create(editor, tags=["red", "c+r"])
    words = editor.get(f"{PREFIX}/runs/vocabulary").json()
    assert set(words["tags"]) == {"red", "c+r"}
    assert "seed" in words["specs"]
    assert "source.posts" in words["specs"]
    stage = next(field for field in words["fields"] if field["name"] == "stage")
    assert "pretrain" in stage["choices"]
    assert set(words["rules"]) == {"final", "last", "max", "min", "best"}


def test_notes_star_and_archive(editor) -> None:
    run = create(editor, name="mine")
    changed = editor.patch(
        f"{PREFIX}/runs/{run['id']}", json={"notes": "# Why\nbecause", "starred": True, "archived": True}
    ).json()
    assert (changed["notes"], changed["starred"], changed["archived"]) == ("# Why\nbecause", True, True)
    assert found(editor, query="starred and archived and notes ~ BECAUSE") == ["mine"]
    assert found(editor, query="not archived") == []
    again = editor.patch(f"{PREFIX}/runs/{run['id']}", json={"archived": False}).json()
    assert (again["archived"], again["starred"]) == (False, True)


def test_bulk_actions_tell_for_each_run_whether_it_went(editor) -> None:
    first, second = create(editor, name="first"), create(editor, name="second")
    ids = [first["id"], second["id"]]

    def bulk(action: str, ids=ids, **more):
        response = editor.post(f"{PREFIX}/runs/bulk", json={"ids": ids, "action": action, **more})
        assert response.status_code == 200, response.text
        return {o["id"]: (o["done"], o["message"]) for o in response.json()}

    bulk("tag", tags=["paper", "red"])
    bulk("untag", ids[:1], tags=["red"])
    assert found(editor, query="tag = paper", sort="name") == ["first", "second"]
    assert found(editor, query="tag = red") == ["second"]
    editor.post(f"{PREFIX}/runs/{ids[0]}/cancel")
    gone = "00000000-0000-0000-0000-000000000000"
    told = bulk("cancel", [*ids, gone])
    assert told[ids[0]] == (False, "the run has already ended as cancelled")
    assert told[ids[1]] == (True, "")
    assert told[gone] == (False, f"there is no run {gone}")
    assert set(bulk("retry").values()) == {(True, "")}
    assert bulk("delete", ids[:1])[ids[0]] == (False, "the run is queued; cancel it first")
    bulk("cancel")
    bulk("archive", ids[1:])
    assert found(editor, query="not archived") == ["first"]
    assert set(bulk("delete").values()) == {(True, "")}
    assert found(editor) == []
    assert editor.post(f"{PREFIX}/runs/bulk", json={"ids": ids, "action": "tag"}).status_code == 422


def test_what_reads_from_another_is_deleted_before_it(editor) -> None:
    posts = create(editor)
    body = {"stage": "cluster", "spec": {}, "inputs": {"posts": {"run": posts["id"], "artifact": "posts"}}}
    reader = editor.post(f"{PREFIX}/runs", json=body).json()
    editor.post(f"{PREFIX}/runs/{posts['id']}/cancel")
    told = editor.post(
        f"{PREFIX}/runs/bulk", json={"ids": [posts["id"], reader["id"]], "action": "delete"}
    ).json()
    assert [outcome["done"] for outcome in told] == [True, True]


STATE = {
    "query": "stage = evaluate",
    "columns": ["created", "metric.val_accuracy:max"],
    "sort": "-created",
    "grouped": True,
}


def test_saved_views_are_one_s_own_until_they_are_shared(editor, api, tokens, sessions) -> None:
    viewer = {"Authorization": f"Bearer {sessions[Role.viewer]}"}
    mine = {"Authorization": f"Bearer {tokens[Role.editor]}"}
    made = api.post(f"{PREFIX}/views", json={"name": "Evaluations", "state": STATE}, headers=mine)
    assert made.status_code == 201
    view = made.json()
    assert (view["state"], view["mine"], view["owner"]) == (
        {**STATE, "nested": False},
        True,
        "editor@example.org",
    )
    again = api.post(f"{PREFIX}/views", json={"name": "Evaluations", "state": STATE}, headers=mine)
    assert again.status_code == 409
    assert api.get(f"{PREFIX}/views", headers=viewer).json() == []
    path = f"{PREFIX}/views/{view['id']}"
    assert api.patch(path, json={"name": "Theirs"}, headers=viewer).status_code == 404
    assert api.patch(path, json={"shared": True}, headers=mine).json()["shared"] is True
    (seen,) = api.get(f"{PREFIX}/views", headers=viewer).json()
    assert (seen["name"], seen["mine"]) == ("Evaluations", False)
    assert api.delete(path, headers=viewer).status_code == 404
    own = api.post(f"{PREFIX}/views", json={"name": "Evaluations", "state": STATE}, headers=viewer)
    assert own.status_code == 201
    shared = api.post(f"{PREFIX}/views", json={"name": "All", "state": STATE, "shared": True}, headers=viewer)
    assert shared.status_code == 403
    assert api.delete(path, headers=mine).status_code == 204
    assert [v["name"] for v in api.get(f"{PREFIX}/views", headers=viewer).json()] == ["Evaluations"]


def test_a_view_that_could_not_be_opened_is_not_saved(editor) -> None:
    for state, field in (({"query": "stage ="}, "query"), ({"columns": ["spec.nope"]}, "columns")):
        refused = editor.post(f"{PREFIX}/views", json={"name": "x", "state": state})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == field
