"""Ablations over HTTP: points find the runs that differ in one factor, and a missing one can be launched."""

import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from backend.store.database import connect, session_factory
from backend.store.runs.tables import Run
from vise_client.schemas.accounts import Role
from vise_client.schemas.launch import RecipeCreate
from vise_core.specs.recipes.ablation_kinds import ABLATION_KINDS
from vise_core.specs.recipes.registry import RECIPES

sys.path.insert(0, str(Path(__file__).parents[3] / "vise_core" / "report"))
from results import evaluation

from backend.store.runs.create import create_recipe
from backend.store.runs.read import view_run

A = "/api/v1/ablations"
STEP = "{method} (resnet18) on UnbiasedEmotion, {protocol}"


class Lab:
    """The database: recipes as they are created, and runs that are said to have succeeded."""

    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        self.sessions = session_factory(self.engine)

    def recipe(self, name: str) -> dict[str, UUID]:
        """Step → run of a recipe that is created as it ships."""
        with self.sessions.begin() as db:
            parent = create_recipe(db, RecipeCreate(recipe=name), None)
            return {child.step: child.id for child in view_run(db, parent.id).children}

    def succeed(self, *made: UUID, **facts: Any) -> None:
        with self.sessions.begin() as db:
            for run in (db.get(Run, one) for one in made):
                run.state = "succeeded"
                if run.stage == "evaluate":
                    result = evaluation(
                        run.spec["method"], **{"values": [40.0, 44.0], "synthetic": True} | facts
                    )
                    run.result = result.model_dump(mode="json")

    def run(self, run_id: str) -> Run:
        with self.sessions() as db:
            return db.get(Run, UUID(run_id))


@pytest.fixture
def lab(settings) -> Lab:
    made = Lab(settings.database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def steps(lab: Lab) -> dict[str, UUID]:
    """Step → run of the recipe ``sample-tables``, all of which have succeeded."""
    made = lab.recipe("sample-tables")
    lab.succeed(*made.values())
    return made


@pytest.fixture
def baseline(steps: dict[str, UUID]) -> UUID:
    """The linear evaluation of VisE-1.2M."""
    return steps[STEP.format(method="VisE-1.2M", protocol="linear")]


def create(editor: TestClient, baseline: UUID, kind: str = "data-size", **body: Any):
    return editor.post(A, json={"name": "mine", "kind": kind, "baseline": str(baseline), **body})


def states(view: dict[str, Any]) -> dict[str, str]:
    return {point["label"]: point["state"] for point in view["points"]}


def test_points_find_the_runs_that_differ_in_the_one_factor(editor: TestClient, lab: Lab) -> None:
    steps = lab.recipe("sample-data-size")
    one, small = (
        steps[STEP.format(method=method, protocol="fine-tuned")] for method in ("VisE-1.2M", "VisE-123k")
    )
    lab.succeed(one)
    lab.succeed(small, values=[30.0, 32.0])
    view = create(editor, one).json()
    assert [point["position"] for point in view["points"]] == [100, 250, 500, 1000]
    first, *_, last = view["points"]
    assert (first["run"], first["mean"], first["n"]) == (str(small), 31, 2)
    assert first["std"] == pytest.approx(2**0.5)
    assert (last["run"], last["mean"], last["baseline"]) == (str(one), 42, True)
    assert states(view) == {"100": "succeeded", "250": "waiting", "500": "waiting", "1,000": "succeeded"}
    assert (view["task"], view["metric"], view["on"], view["synthetic"]) == (
        "UnbiasedEmotion", "accuracy", "test", True,
    )  # fmt: skip


def test_runs_of_another_chain_are_not_taken_for_points(editor: TestClient, lab: Lab) -> None:
    """The same recipe twice: the second's posts are others, so that its runs differ in more than one thing."""
    one = lab.recipe("sample-data-size")[STEP.format(method="VisE-1.2M", protocol="fine-tuned")]
    other = lab.recipe("sample-data-size")
    lab.succeed(one, *other.values())
    found = {point["run"] for point in create(editor, one).json()["points"]}
    assert not found & set(map(str, other.values()))


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"data": "others"}, "was measured on other images (100 each) than the baseline"),
        (
            {"draw": "seed 1"},
            "has other splits than the baseline: splits 0 and 1: train, val and test images differ",
        ),
    ],
)
def test_a_run_on_other_data_or_splits_fills_no_point_and_says_why(
    editor: TestClient, lab: Lab, facts: dict[str, Any], why: str
) -> None:
    """The specs agree, and what was measured does not: a newer version splits in another way, or reads other files."""
    steps = lab.recipe("sample-data-size")
    one, small = (
        steps[STEP.format(method=method, protocol="fine-tuned")] for method in ("VisE-1.2M", "VisE-123k")
    )
    lab.succeed(one)
    lab.succeed(small, values=[90.0, 92.0], **facts)
    view = create(editor, one, changes=[{"posts_limit": 100}, {}]).json()
    point = view["points"][0]
    assert (point["state"], point["run"], point["mean"]) == ("missing", None, None)
    assert why in point["note"]
    launched = editor.post(f"{A}/{view['id']}/points/0/launch").json()
    assert [child["stage"] for child in launched["children"]][-1] == "evaluate"
    now = editor.get(f"{A}/{view['id']}").json()["points"][0]
    assert (now["state"], now["note"]) == ("waiting", "")


def test_a_result_of_another_version_fills_no_point_and_says_why(editor: TestClient, lab: Lab) -> None:
    steps = lab.recipe("sample-data-size")
    one, small = (
        steps[STEP.format(method=method, protocol="fine-tuned")] for method in ("VisE-1.2M", "VisE-123k")
    )
    lab.succeed(one, small)
    with lab.sessions.begin() as db:
        db.get_one(Run, small).result = {"method": "VisE", "of": "another version"}
    first = create(editor, one).json()["points"][0]
    assert first["run"] is None
    assert "was written by another version" in first["note"]


def test_a_missing_point_is_launched_on_the_runs_that_stay_the_same(
    editor: TestClient, lab: Lab, steps: dict[str, UUID], baseline: UUID
) -> None:
    view = create(editor, baseline, changes=[{"posts_limit": 300}]).json()
    assert states(view) == {"300": "missing"}
    parent = editor.post(f"{A}/{view['id']}/points/0/launch").json()
    pretrain, evaluate = (lab.run(child["id"]) for child in parent["children"])
    old = lab.run(str(steps["pretrain VisE-1.2M"]))
    assert (pretrain.stage, evaluate.stage) == ("pretrain", "evaluate")
    assert pretrain.spec == old.spec | {"posts_limit": 300}
    assert pretrain.inputs == old.inputs, "posts and labels are read again, not made again"
    assert evaluate.inputs["checkpoint"]["run"] == str(pretrain.id)
    assert evaluate.inputs["dataset"] == lab.run(str(baseline)).inputs["dataset"]
    assert evaluate.spec["method"] == "VisE-1.2M, 300"
    assert parent["synthetic"]
    now = editor.get(f"{A}/{view['id']}").json()
    assert states(now) == {"300": "waiting"}
    assert now["points"][0]["run"] == str(evaluate.id)
    again = editor.post(f"{A}/{view['id']}/points/0/launch")
    assert again.status_code == 409
    assert len(editor.get(f"/api/v1/runs?parent={parent['id']}").json()["items"]) == 2


def test_a_factor_further_up_makes_everything_below_anew(
    editor: TestClient, lab: Lab, steps: dict[str, UUID], baseline: UUID
) -> None:
    view = create(editor, baseline, "clusters").json()
    assert states(view) == {"8": "missing", "16": "missing", "32": "missing", "64": "succeeded"}
    parent = editor.post(f"{A}/{view['id']}/points/0/launch").json()
    made = {lab.run(child["id"]).stage: lab.run(child["id"]) for child in parent["children"]}
    assert list(made) == ["cluster", "label", "pretrain", "evaluate"]
    assert made["cluster"].spec["comments"]["kmeans"]["k"] == 8
    assert made["label"].inputs["clusterer"]["run"] == str(made["cluster"].id)
    assert made["label"].inputs["posts"]["run"] == str(steps["posts"])
    assert made["pretrain"].inputs["labels"]["run"] == str(made["label"].id)


def test_a_failed_point_says_so_and_can_be_launched_again(editor: TestClient, baseline: UUID) -> None:
    view = create(editor, baseline, changes=[{"posts_limit": 300}]).json()
    parent = editor.post(f"{A}/{view['id']}/points/0/launch").json()
    assert editor.post(f"/api/v1/runs/{parent['id']}/cancel").status_code == 200
    assert states(editor.get(f"{A}/{view['id']}").json()) == {"300": "cancelled"}
    second = editor.post(f"{A}/{view['id']}/points/0/launch")
    assert second.status_code == 201
    assert states(editor.get(f"{A}/{view['id']}").json()) == {"300": "waiting"}


def test_the_paper_s_rows_get_the_paper_s_names(editor: TestClient, lab: Lab, baseline: UUID) -> None:
    view = create(editor, baseline, "pretext").json()
    assert list(states(view)) == ["comments + reactions", "comments", "reactions"]
    parent = editor.post(f"{A}/{view['id']}/points/2/launch").json()
    assert lab.run(parent["children"][-1]["id"]).spec["method"] == "VisE-R"


def test_it_is_renamed_given_other_points_and_forgotten(editor: TestClient, lab: Lab, baseline: UUID) -> None:
    made = create(editor, baseline).json()
    url = f"{A}/{made['id']}"
    changed = editor.patch(url, json={"name": "other", "changes": [{"posts_limit": 10}, {}]}).json()
    assert (changed["name"], states(changed)) == ("other", {"10": "missing", "1,000": "succeeded"})
    assert [one["name"] for one in editor.get(A).json()] == ["other"]
    assert create(editor, baseline, name="other").status_code == 409
    assert editor.delete(url).status_code == 204
    assert editor.get(url).status_code == 404
    assert lab.run(str(baseline)).state == "succeeded"


def test_the_audit_log_tells_who_made_and_removed_it(editor: TestClient, lab: Lab, tokens) -> None:
    steps = lab.recipe("sample-tables")
    lab.succeed(*steps.values())
    made = create(editor, steps[STEP.format(method="VisE-1.2M", protocol="linear")]).json()
    editor.delete(f"{A}/{made['id']}")
    admin = {"Authorization": f"Bearer {tokens[Role.admin]}"}
    response = editor.get("/api/v1/audit", params={"kind": "ablation"}, headers=admin).json()["items"]
    assert [(one["action"], one["target"], one["email"]) for one in response] == [
        ("deleted", "mine", "editor@example.org"),
        ("created", "mine", "editor@example.org"),
    ]


def test_what_does_not_fit_is_refused_by_field(editor: TestClient, lab: Lab) -> None:
    steps = lab.recipe("sample-tables")
    baseline = steps[STEP.format(method="VisE-1.2M", protocol="linear")]
    random = steps[STEP.format(method="Random Init", protocol="linear")]
    refused = create(editor, baseline)
    assert (refused.status_code, "baseline" in refused.text) == (422, True), "it has not succeeded yet"
    lab.succeed(*steps.values())
    for baseline_id, changes, told in (
        (random, None, "no run of that stage leads to"),
        (baseline, [{"posts_limit": 5}, {"posts_limit": -1}], "changes.1"),
        (baseline, [{"no_such_field": 1}], "changes.0"),
    ):
        refused = create(editor, baseline_id, changes=changes)
        assert refused.status_code == 422
        assert told in refused.text
    assert create(editor, uuid4()).status_code == 404
    assert editor.post(f"{A}/{uuid4()}/points/0/launch").status_code == 404


def test_every_kind_names_a_field_of_its_stage() -> None:
    from vise_core.specs.paths import with_values
    from vise_core.specs.stages import STAGES

    for name, kind in ABLATION_KINDS.items():
        assert kind.stage in STAGES, name
        assert kind.values, name
        for values in kind.values:
            assert set(kind.paths) <= set(values), name
            assert with_values({}, values)


def test_the_recipes_that_ship_are_ablations_of_their_own_kind(editor: TestClient, lab: Lab) -> None:
    """Every point of the sample recipe for clusters is found from any of its evaluations."""
    assert "sample-clusters" in RECIPES
    steps = lab.recipe("sample-clusters")
    lab.succeed(*steps.values())
    baseline = next(run for step, run in steps.items() if step.startswith("VisE-1.2M, 64 clusters"))
    view = create(editor, baseline, "clusters").json()
    assert set(states(view).values()) == {"succeeded"}
    assert len({point["run"] for point in view["points"]}) == 4
