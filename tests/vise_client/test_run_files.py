"""What ``vise run`` makes of names, files and changes; every recipe as a file; the examples of the docs."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from vise_client.cli import app
from vise_client.run_files import read_request, recipe_yaml
from vise_client.schemas import RecipeCreate, RunCreate, SweepCreate
from vise_core.errors import BadInput
from vise_core.specs.recipe_registry import RECIPES

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"


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


def test_the_examples_of_the_docs_are_valid(write) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    kinds = [type(read_request(write(text), None, [])) for text in examples]
    assert kinds == [RecipeCreate, SweepCreate, SweepCreate, RunCreate]
