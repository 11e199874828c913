"""Every table and figure from real, tiny runs: the sample ablations, run as anyone would run them."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from vise_client.local_run import run_recipe_locally
from vise_core.report import NAMES, figure, formats, observe_all, report, write_all
from vise_core.report.published import FIGURES
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.recipe_registry import RECIPES
from vise_core.specs.recipes import RecipeSpec


def smaller(recipe: RecipeSpec) -> RecipeSpec:
    """The same steps on fewer images and for one epoch: it is the way through that is tested."""
    plain = recipe.model_dump(mode="json")
    for step in plain["steps"].values():
        if step["stage"] == "evaluate":
            step["spec"] |= {"epochs": 1, "milestones": [], "base_lrs": [0.025], "image_size": 32}
            step["spec"]["weight_decays"] = [0.001]
        elif step["stage"] == "pretrain":
            step["spec"] |= {"epochs": 1, "image_size": 32, "batch": 32, "posts_limit": 64}
        elif step["stage"] == "ingest":
            step["spec"]["source"] |= {"posts": 200}
        elif step["stage"] == "sample_tasks":
            step["spec"] |= {"images": 70, "image_size": 32}
        elif step["stage"] == "cluster":
            step["spec"] |= {"comments": {"kmeans": {"k": 8}}, "reactions": {"kmeans": {"k": 4}}}
    return RecipeSpec.model_validate(plain)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, EvaluateResult]]:
    found = []
    for name in ("sample-tables", "sample-multimodal", "sample-moco"):
        out = tmp_path_factory.mktemp(name)
        made = run_recipe_locally(smaller(RECIPES[name]), {}, out, Console(quiet=True))
        found += [(step, r) for step, r in made.items() if isinstance(r, EvaluateResult)]
    return found


def test_tables_and_figures_are_written_and_hold_what_was_run(results, tmp_path: Path) -> None:
    files = list(write_all(results, tmp_path))
    assert len(files) == sum(len(formats(name)) for name in NAMES)
    observations = observe_all(results)
    filled = (
        "table2",
        "table5",
        "table6",
        "table7",
        "table9",
        "table10",
        "table11",
        "table12",
        "table13",
        "table14",
        "table15",
        "table16",
    )
    for name in filled:
        rows = list(csv.DictReader(io.StringIO(report(name, observations, "csv").decode())))
        assert rows, name
        assert {r["backbone"] for r in rows} <= {"resnet18", ""}, name
        if name in ("table6", "table7"):
            assert "memes_auc" in {r["column"] for r in rows}, "memes are judged with their texts frozen"
        assert {(r["source"], r["synthetic"]) for r in rows} == {("ours", "True")}, name
        assert all(r["runs"] and float(r["value"]) >= 0 for r in rows), name
    drawn = {name for name in FIGURES if figure(name, observations).run}
    assert drawn == {"figure3", "figure4", "figure5", "figure6"}


def test_figure_6_has_every_setup_and_the_text_alone(results) -> None:
    panels = {panel.key: panel for panel in figure("figure6", observe_all(results)).panels}
    for key in "abcd":
        ours = {p.method for p in panels[key].points if p.mean is not None}
        assert ours == {"Random Init", "VisE-1.2M"}, key
    for key in ("text-fine-tuned", "text-linear"):
        (alone,) = [p for p in panels[key].points if p.mean is not None]
        assert alone.method == "Text Only"
        assert 0 <= alone.mean <= 1
    assert {p.synthetic for panel in panels.values() for p in panel.points if p.mean is not None} == {True}


def test_what_was_not_run_is_missing_and_never_zero(results) -> None:
    text = report("table6", observe_all(results), "markdown").decode()
    (vqa,) = [line for line in text.splitlines() if "VQAGrid" in line]
    assert vqa.count("not run") == 6
