"""Creating, reading and listing runs over HTTP; errors are problem JSON that names the field."""

import json

import pytest

from backend.api.app import PREFIX
from backend.store.registry.tables import Dataset

SAMPLE = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}


def create(api, **body):
    return api.post(f"{PREFIX}/runs", json={"stage": "ingest", "spec": SAMPLE, **body})


def test_a_run_says_all_that_it_was_made_with(editor) -> None:
    made = create(editor, name="mine", tags=["a"])
    assert made.status_code == 201
    run = made.json()
    assert (run["state"], run["queue"], run["tags"]) == ("queued", "cpu", ["a"])
    assert run["spec"]["posts_per_shard"] == 1000, "defaults are written out"
    again = editor.get(f"{PREFIX}/runs/{run['id']}").json()
    assert run.pop("status")["label"] == again.pop("status")["label"] == "no worker"
    assert again == run
    events = editor.get(f"{PREFIX}/runs/{run['id']}/events").json()
    assert [e["to_state"] for e in events] == ["queued"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stage": "brew"}, "stage"),
        ({"spec": {"seed": -1}}, "spec.seed"),
        ({"spec": {"sede": 1}}, "spec.sede"),
        ({"spec": {"source": {"kind": "sample", "posts": 3}}}, "spec.source.sample.posts"),
        ({"spec": {}}, "inputs.source"),
        ({"stage": "cluster", "spec": {}}, "inputs.posts"),
        ({"inputs": {"soup": {"dataset": "00000000-0000-0000-0000-000000000000"}}}, "inputs.soup"),
        (
            {"inputs": {"source": {"dataset": "00000000-0000-0000-0000-000000000000"}}},
            "inputs.source.dataset",
        ),
        ({"inputs": {"source": {}}}, "inputs.source"),
        ({"color": "red"}, "color"),
    ],
)
def test_what_is_wrong_is_named(editor, body, field) -> None:
    response = create(editor, **body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [e["field"] for e in response.json()["errors"]] == [field]


def test_a_run_waits_for_what_it_reads_from_and_falls_with_it(editor) -> None:
    source = create(editor).json()
    inputs = {"posts": {"run": source["id"], "artifact": "posts"}}
    waiting = create(editor, stage="cluster", spec={}, inputs=inputs).json()
    assert waiting["state"] == "waiting"
    assert "Ingest" in waiting["reason"]
    assert waiting["synthetic"] is source["synthetic"]
    assert editor.post(f"{PREFIX}/runs/{source['id']}/cancel").json()["state"] == "cancelled"
    fallen = editor.get(f"{PREFIX}/runs/{waiting['id']}").json()
    assert (fallen["state"], "cancelled" in fallen["reason"]) == ("cancelled", True)
    assert editor.post(f"{PREFIX}/runs/{source['id']}/cancel").status_code == 409


def test_the_sample_recipe_is_a_parent_with_its_steps(editor) -> None:
    recipe = editor.post(f"{PREFIX}/recipes/runs", json={"recipe": "sample"}).json()
    states = {child["step"]: child["state"] for child in recipe["children"]}
    assert list(states) == [
        "posts",
        "cluster",
        "label",
        "explore",
        "random",
        "imagenet",
        "pretrain",
        "vise",
        "compare",
    ]
    assert states.pop("posts") == "queued"
    assert set(states.values()) == {"waiting"}
    assert recipe["synthetic"] is True
    assert [r["id"] for r in editor.get(f"{PREFIX}/runs").json()["items"]] == [recipe["id"]]
    cancelled = editor.post(f"{PREFIX}/runs/{recipe['id']}/cancel").json()
    assert {c["state"] for c in cancelled["children"]} == {"cancelled"}
    assert cancelled["state"] == "cancelled"
    retried = editor.post(f"{PREFIX}/runs/{recipe['id']}/retry").json()
    assert {c["step"]: c["state"] for c in retried["children"]} == {**states, "posts": "queued"}


def test_a_sweep_has_one_run_a_point(editor) -> None:
    body = {
        "spec": {"stage": "ingest", "base": SAMPLE, "grid": {"seed": [1, 2], "source.posts": [10, 30, 40]}}
    }
    sweep = editor.post(f"{PREFIX}/sweeps", json=body).json()
    points = [(c["name"]) for c in sweep["children"]]
    assert points[:2] == ["seed 1, posts 10", "seed 1, posts 30"]
    assert len(points) == 6


def test_a_sweep_over_methods_and_tasks_gives_each_its_own_inputs(editor) -> None:
    tasks = create(editor, stage="sample_tasks", spec={"images": 60}).json()
    posts = create(editor).json()
    pretrained = create(
        editor,
        stage="pretrain",
        spec={"objective": "moco-v2", "batch": 256},
        inputs={"posts": {"run": posts["id"], "artifact": "posts"}},
    ).json()

    def task(kind: str) -> dict:
        return {
            "set": {"task": {"kind": kind}},
            "inputs": {"dataset": {"run": tasks["id"], "artifact": kind}},
        }

    vise = {
        "set": {"weights.kind": "pretrained"},
        "inputs": {"checkpoint": {"run": pretrained["id"], "artifact": "checkpoint"}},
    }
    spec = {
        "stage": "evaluate",
        "cases": {
            "method": {"Random Init": {"set": {"weights.kind": "random"}}, "VisE": vise},
            "task": {"Politics": task("politics"), "Birds": task("cub")},
        },
        "grid": {"seed": [4]},
    }
    made = editor.post(f"{PREFIX}/sweeps", json={"spec": spec})
    assert made.status_code == 201, made.text
    sweep = made.json()
    assert sweep["name"] == "Sweep over method, task, seed"
    names = [child["name"] for child in sweep["children"]]
    assert names[1:3] == ["Random Init, Birds, seed 4", "VisE, Politics, seed 4"]
    birds, politics = (editor.get(f"{PREFIX}/runs/{c['id']}").json() for c in sweep["children"][1:3])
    assert list(birds["inputs"]) == ["dataset"]
    assert birds["inputs"]["dataset"]["artifact"] == "cub"
    assert {role: ref["run"] for role, ref in politics["inputs"].items()} == {
        "dataset": tasks["id"],
        "checkpoint": pretrained["id"],
    }
    assert (politics["spec"]["task"]["kind"], politics["spec"]["weights"]["kind"]) == (
        "politics",
        "pretrained",
    )
    again = editor.post(f"{PREFIX}/runs/{sweep['id']}/clone", json={}).json()
    assert [child["name"] for child in again["children"]] == names

    del spec["cases"]["method"]["VisE"]["inputs"]
    refused = editor.post(f"{PREFIX}/sweeps", json={"spec": spec})
    assert refused.status_code == 422
    assert [e["field"] for e in refused.json()["errors"]] == ["spec.inputs.checkpoint"]


@pytest.mark.parametrize("sort", ["created", "-created", "name", "-name", "stage", "-state"])
def test_pages_hold_every_run_once_in_order(editor, sort) -> None:
    names = [f"run {n % 4}" for n in range(9)]
    for name in names:
        create(editor, name=name)
    seen, cursor = [], None
    while True:
        query = {"sort": sort, "limit": 4} | ({"cursor": cursor} if cursor else {})
        page = editor.get(f"{PREFIX}/runs", params=query).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len({r["id"] for r in seen}) == len(seen) == 9
    if sort.endswith("name"):
        assert [r["name"] for r in seen] == sorted(names, reverse=sort.startswith("-"))


def test_filters(editor) -> None:
    create(editor, name="alpha", tags=["red"])
    create(editor, name="beta 100%")

    def found(**query) -> list[str]:
        return [r["name"] for r in editor.get(f"{PREFIX}/runs", params=query).json()["items"]]

    assert found(tag="red") == ["alpha"]
    assert found(search="100%") == ["beta 100%"]
    assert found(search="%") == ["beta 100%"]
    assert found(state="failed") == []
    assert found(stage="ingest") == ["beta 100%", "alpha"]
    assert editor.get(f"{PREFIX}/runs", params={"sort": "colour"}).status_code == 422
    assert editor.get(f"{PREFIX}/runs", params={"cursor": "xx"}).status_code == 422


@pytest.mark.parametrize("path", ["runs/nope", "models/nope"])
def test_a_bad_id_is_a_problem_too(editor, path) -> None:
    response = editor.get(f"{PREFIX}/{path}")
    assert (response.status_code, response.json()["status"]) == (422, 422)


def test_what_is_not_there_is_404(editor) -> None:
    gone = "00000000-0000-0000-0000-000000000000"
    for path in (f"runs/{gone}", f"artifacts/{gone}", f"models/{gone}", f"predictions/{gone}", "nowhere"):
        response = editor.get(f"{PREFIX}/{path}")
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


def test_the_order_of_a_recipe_s_steps_survives_the_database(editor) -> None:
    recipe = editor.post(f"{PREFIX}/recipes/runs", json={"recipe": "sample"}).json()
    clone = editor.post(f"{PREFIX}/runs/{recipe['id']}/clone", json={})
    assert clone.status_code == 201
    assert [c["step"] for c in clone.json()["children"]] == list(recipe["spec"]["steps"])
    assert next(iter(recipe["spec"]["steps"])) == "posts"


GIVEN = {
    "title": "two",
    "given": {
        "posts": {"help": "shards", "artifact": "posts"},
        "labels": {"help": "labels", "artifact": "labels", "required": False},
    },
    "steps": {
        "cluster": {"stage": "cluster", "inputs": {"posts": {"given": "posts"}}},
        "pretrain": {
            "stage": "pretrain",
            "inputs": {"posts": {"given": "posts"}, "labels": {"given": "labels"}},
        },
    },
}


def test_a_recipe_takes_what_it_is_given_and_leaves_out_what_it_cannot_do(editor) -> None:
    posts = {"run": create(editor).json()["id"], "artifact": "posts"}
    made = editor.post(f"{PREFIX}/recipes/runs", json={"spec": GIVEN, "inputs": {"posts": posts}})
    assert made.status_code == 201
    assert [child["step"] for child in made.json()["children"]] == ["cluster"]
    child = editor.get(f"{PREFIX}/runs/{made.json()['children'][0]['id']}").json()
    assert {k: v for k, v in child["inputs"]["posts"].items() if v} == posts
    again = editor.post(f"{PREFIX}/runs/{made.json()['id']}/clone", json={}).json()
    assert [c["step"] for c in again["children"]] == ["cluster"]


LEAN = {
    "title": "lean",
    "given": {"politics": {}, "posts": {"help": "shards", "required": False}},
    "steps": {
        "judge": {
            "stage": "evaluate",
            "spec": {"task": {"kind": "politics"}, "weights": {"kind": "random", "backbone": "resnet18"}},
            "inputs": {"dataset": {"given": "politics"}},
        },
        "cluster": {"stage": "cluster", "inputs": {"posts": {"given": "posts"}}},
    },
}


def test_a_given_input_is_a_data_set_or_a_run_without_the_name_of_an_artifact(
    editor,
) -> None:
    with editor.app.state.sessions.begin() as db:
        dataset = Dataset(name="Politics", kind="images", folder="politics", description="", synthetic=False)
        db.add(dataset)
        db.flush()
        dataset_id = str(dataset.id)
    tasks = editor.post(f"{PREFIX}/runs", json={"stage": "sample_tasks", "spec": {"images": 60}}).json()["id"]
    posts = create(editor).json()["id"]
    for given, artifact in (({"dataset": dataset_id}, None), ({"run": tasks}, "politics")):
        made = editor.post(
            f"{PREFIX}/recipes/runs",
            json={"spec": LEAN, "inputs": {"politics": given, "posts": {"run": posts}}},
        )
        assert made.status_code == 201, made.text
        children = [editor.get(f"{PREFIX}/runs/{child['id']}").json() for child in made.json()["children"]]
        read = {role: ref for child in children for role, ref in child["inputs"].items()}
        assert read["dataset"]["artifact"] == artifact
        assert read["posts"]["artifact"] == "posts"
        again = editor.post(f"{PREFIX}/runs/{made.json()['id']}/clone", json={})
        assert again.status_code == 201, again.text
    shipped = editor.post(
        f"{PREFIX}/recipes/runs",
        json={
            "recipe": "ablation-pretext",
            "inputs": {"politics": {"dataset": dataset_id}, "posts": {"run": posts}},
        },
    )
    assert shipped.status_code == 201, shipped.text


def test_a_run_alone_is_enough_where_one_artifact_fits_and_else_those_that_fit_are_named(editor) -> None:
    posts = {"run": create(editor).json()["id"]}
    made = create(editor, stage="cluster", spec={}, inputs={"posts": posts})
    assert made.status_code == 201
    assert made.json()["inputs"]["posts"]["artifact"] == "posts"
    draft = {"spec": {}, "inputs": {"posts": posts}}
    checked = editor.post(f"{PREFIX}/stages/cluster/validate", json=draft).json()
    assert checked["problems"] == []
    several = create(editor, stage="survey", spec={}, inputs={"dataset": posts})
    assert several.status_code == 422
    assert "several of its artifacts fit: posts, evaluation_set" in several.text
    none = create(editor, stage="pretrain", spec={}, inputs={"posts": posts, "labels": posts})
    assert none.status_code == 422
    assert none.json()["errors"][0]["field"] == "inputs.labels"


def test_a_recipe_says_what_it_has_to_be_given(editor) -> None:
    refused = editor.post(f"{PREFIX}/recipes/runs", json={"spec": GIVEN})
    assert refused.status_code == 422
    assert "posts: is required: shards" in refused.text
    other = {"cats": {"dataset": "00000000-0000-0000-0000-000000000000"}}
    refused = editor.post(f"{PREFIX}/recipes/runs", json={"spec": GIVEN, "inputs": other})
    assert "takes posts, labels" in refused.text


@pytest.mark.parametrize(("objective", "status"), [("vise", 422), ("moco-v2", 201)])
def test_only_moco_pretrains_without_labels(editor, objective: str, status: int) -> None:
    posts = {"run": create(editor).json()["id"], "artifact": "posts"}
    body = {"stage": "pretrain", "spec": {"objective": objective, "batch": 256}, "inputs": {"posts": posts}}
    assert editor.post(f"{PREFIX}/runs", json=body).status_code == status


@pytest.mark.parametrize("name", ["a\0b", "half \ud83d"])
def test_text_that_cannot_be_stored_is_a_clear_error_without_sql(editor, name: str) -> None:
    for body in ({"name": name}, {"tags": [name]}, {"stage": "evaluate", "spec": {"method": name}}):
        made = editor.post(
            f"{PREFIX}/runs",
            content=json.dumps({"stage": "ingest", "spec": SAMPLE, **body}),
            headers={"Content-Type": "application/json"},
        )
        assert made.status_code == 422, made.text
        assert made.headers["content-type"] == "application/problem+json"
        assert "INSERT" not in made.text
        assert "SELECT" not in made.text
