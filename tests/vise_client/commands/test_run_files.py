"""What ``vise run`` makes of names, files and changes; every recipe as a file; the examples of the docs."""

import re
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from typer.testing import CliRunner

from vise_client.cli import app
from vise_client.commands.run_files import local_inputs, parse_inputs, read_request, recipe_yaml
from vise_client.local.run import artifact_in
from vise_client.schemas.launch import RecipeCreate, RunCreate, SweepCreate
from vise_core.errors import BadInput
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.recipes.registry import RECIPES

DOCS = Path(__file__).parents[3] / "docs" / "recipes.md"


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "own.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_written_to_a_file_is_the_same_recipe(name, write) -> None:
    request = read_request(write(recipe_yaml(RECIPES[name])), None, [])
    assert isinstance(request, RecipeCreate)
    assert request.spec == RECIPES[name]


def test_show_prints_what_can_be_changed_and_run(tmp_path) -> None:
    shown = CliRunner().invoke(app, ["recipes", "show", "sample-extractor"])
    assert shown.exit_code == 0
    values = yaml.safe_load(shown.output)
    kinds = [
        step["spec"]["comments"]["extractor"]["kind"]
        for step in values["steps"].values()
        if step["stage"] == "cluster"
    ]
    assert kinds == ["tfidf", "sentence"]
    path = tmp_path / "mine.yaml"
    path.write_text(shown.output)
    request = read_request(str(path), None, ["steps.posts.spec.source.posts=300"])
    assert request.spec.steps["posts"].spec["source"]["posts"] == 300


def test_the_list_says_what_has_to_be_given() -> None:
    listed = CliRunner().invoke(app, ["recipes", "list"]).output
    assert set(RECIPES) == {line.split(":")[0] for line in listed.splitlines() if not line.startswith(" ")}
    assert "--input posts=…  Shards made by ingest." in listed


def test_stages_recipes_and_single_runs(write) -> None:
    assert read_request("cluster", None, ["seed=3"]) == RunCreate(stage="cluster", spec={"seed": 3})
    assert read_request("sample", None, []) == RecipeCreate(recipe="sample")
    whole = read_request(write("stage: label\nspec: {seed: 2}\ntags: [mine]\n"), None, [])
    assert whole == RunCreate(stage="label", spec={"seed": 2}, tags=["mine"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\n", "no recipe .* no sweep .* no single run"),
        ("- a\n", "must be a mapping"),
        ("a: [\n", "not YAML or JSON"),
    ],
)
def test_a_file_that_is_nothing_to_run_is_refused(write, text, message) -> None:
    with pytest.raises(BadInput, match=message):
        read_request(write(text), None, [])


def test_changes_to_a_recipe_by_name_point_to_the_file() -> None:
    with pytest.raises(BadInput, match=r"vise recipes show sample > FILE\.yaml"):
        read_request("sample", None, ["seed=1"])


ID = "0190a000-0000-7000-8000-000000000001"


def test_inputs_name_a_run_an_artifact_or_a_data_set_by_id_or_name() -> None:
    named = {"My pictures: all": UUID(int=7)}
    inputs = parse_inputs(
        [f"a={ID}", f"b={ID}:posts", f"c=dataset:{ID}", "d=dataset:My pictures: all"], named.__getitem__
    )
    assert inputs == {
        "a": InputRef(run=UUID(ID)),
        "b": InputRef(run=UUID(ID), artifact="posts"),
        "c": InputRef(dataset=UUID(ID)),
        "d": InputRef(dataset=UUID(int=7)),
    }
    for wrong in ("a", "a=b", "a=dataset:"):
        with pytest.raises(
            BadInput, match="write role=RUN, role=RUN:artifact, role=dataset:ID or role=dataset:NAME"
        ):
            parse_inputs([wrong])


def test_references_of_a_server_are_no_paths(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert local_inputs({"dataset": str(tmp_path / "set")}) == {"dataset": tmp_path / "set"}
    for text in (f"dataset:{ID}", f"{ID}:posts", ID):
        with pytest.raises(BadInput, match=f"--input politics={text}: data sets and runs need a server"):
            local_inputs({"politics": text})


def test_the_folder_of_a_local_run_stands_for_the_artifact_that_fits(tmp_path: Path) -> None:
    for name in ("posts", "report.json", "evaluation_set"):
        (tmp_path / "out/artifacts" / name).mkdir(parents=True)
    (tmp_path / "out/result.json").write_text("{}")
    assert artifact_in(tmp_path / "out", "cluster", "posts") == tmp_path / "out/artifacts/posts"
    assert artifact_in(tmp_path / "out", "evaluate", "dataset") == tmp_path / "out/artifacts/evaluation_set"
    with pytest.raises(BadInput, match="several of its artifacts fit: evaluation_set, posts"):
        artifact_in(tmp_path / "out", "survey", "dataset")
    assert artifact_in(tmp_path / "elsewhere", "cluster", "posts") == tmp_path / "elsewhere"
    with pytest.raises(BadInput, match=r"--input labels=.*out: it makes .*posts.*; this input takes labels"):
        artifact_in(tmp_path / "out", "pretrain", "labels")


def test_the_examples_of_the_docs_are_valid(write) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    kinds = [type(read_request(write(text), None, [])) for text in examples]
    assert kinds == [RecipeCreate, SweepCreate, SweepCreate, RunCreate]
