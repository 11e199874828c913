"""Every table and figure of the paper, through ``vise report``, from a database that real tiny runs have filled."""

import csv
import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import Sessions, connect, session_factory
from backend.store.reports import evaluations
from backend.store.runs.create import create_recipe
from tests.commands import run_vise
from tests.serving import serving
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from vise_client.schemas.launch import RecipeCreate
from vise_core.report import ENDINGS, NAMES, formats
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.recipes.ablations import Chain
from vise_core.specs.recipes.recipe import RecipeSpec, RecipeStep
from vise_core.specs.recipes.registry import RECIPES

Vise = Callable[..., subprocess.CompletedProcess[str]]

TABLES = (
    "table2",
    "table3",
    "table4",
    "table5",
    "table6",
    "table7",
    "table9",
    *(f"table{n}" for n in range(10, 17)),
)


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
            step["spec"]["source"] |= {"posts": 200, "evaluation_images": 60}
        elif step["stage"] == "sample_tasks":
            step["spec"] |= {"images": 70, "image_size": 32}
        elif step["stage"] == "cluster":
            step["spec"] |= {"comments": {"kmeans": {"k": 8}}, "reactions": {"kmeans": {"k": 4}}}
    return RecipeSpec.model_validate(plain)


def other_pretexts() -> RecipeSpec:
    """One signal alone (Table 3) and MoCo-v2 (Table 5), judged on one task: the rows that ``sample-tables`` lacks."""
    chain = Chain(sample=True)
    labels = chain.label()
    for method, changes in {
        "VisE-1.2M-C": {"signals": ["comments"]},
        "VisE-R": {"signals": ["reactions"]},
        "VisE-1.2M (MoCo-v2)": {"objective": "moco-v2", "moco": {"queue": 256}},
    }.items():
        checkpoint = chain.pretrain(method, labels, **changes)
        chain.evaluate(method, "unbiased_emotion", "linear", checkpoint=checkpoint)
    return chain.recipe("Other pretexts", "")


def every_table() -> RecipeSpec:
    """All of these recipes as one: steps that they have in common are run once."""
    steps: dict[str, RecipeStep] = {}
    for recipe in (RECIPES["sample-tables"], RECIPES["sample-multimodal"], other_pretexts()):
        for name, step in smaller(recipe).steps.items():
            assert steps.setdefault(name, step) == step, f"{name} is another step in {recipe.title}"
    return RecipeSpec(title="Every table", synthetic=True, steps=steps)


@dataclass(frozen=True)
class Filled:
    """A server over the filled database, and how to call ``vise`` against it."""

    sessions: Sessions
    client: ViseClient
    vise: Vise
    results: list[tuple[str, EvaluateResult]]


@pytest.fixture(scope="module")
def filled(
    module_database_url: str, broker_url: str, work_off, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    home = tmp_path_factory.mktemp("filled")
    settings = Settings(
        database_url=module_database_url,
        broker_url=broker_url,
        storage_url=f"file://{home / 'storage'}",
        home=home,
    )
    engine = connect(module_database_url)
    sessions = session_factory(engine)
    with sessions.begin() as db:
        user = users.create_user(db, "editor@example.org", "correct horse battery", Role.editor)
        token, _ = users.issue_token(db, user, "api", lifetime=timedelta(hours=1))
        create_recipe(db, RecipeCreate(spec=every_table()), user.id)
    assert len(work_off(settings)) > 25

    def vise(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"VISE_API_URL": url, "VISE_TOKEN": token, "NO_COLOR": "1"}
        return run_vise(*arguments, environment=environment)

    with sessions() as db:
        results = evaluations.results(db)
    with serving(create_app(settings)) as url, ViseClient(url, token) as client:
        yield Filled(sessions, client, vise, results)
    engine.dispose()


@pytest.fixture(scope="module")
def folder(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``vise report all`` wrote."""
    out = tmp_path_factory.mktemp("report")
    told = filled.vise("report", "all", "--out", out)
    assert told.returncode == 0, told.stderr
    return out


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    """A table's CSV: one row a number of our own."""
    return list(csv.DictReader(io.StringIO((folder / f"{table}.csv").read_text())))


def words(svg: Path) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", svg.read_text()).split())


def test_every_table_and_figure_is_written_in_every_format(folder: Path) -> None:
    numbers = {"table": {*range(2, 8), *range(9, 17)}, "figure": set(range(3, 9))}
    assert set(NAMES) == {f"{kind}{number}" for kind, many in numbers.items() for number in many}
    expected = {f"{name}.{ENDINGS[format]}" for name in NAMES for format in formats(name)}
    assert {path.name for path in folder.iterdir()} == expected
    for path in folder.glob("*.png"):
        assert min(Image.open(path).size) > 200, path.name
    for path in folder.glob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF"), path.name


@pytest.mark.parametrize("table", TABLES)
def test_every_table_holds_what_was_run_and_says_which_runs(table: str, folder: Path, filled: Filled) -> None:
    table_rows = rows(folder, table)
    assert table_rows
    assert {(row["source"], row["synthetic"]) for row in table_rows} == {("ours", "True")}
    assert {row["backbone"] for row in table_rows} <= {"resnet18", ""}
    known = {run for run, _ in filled.results}
    assert all(set(row["runs"].split()) <= known and row["runs"] for row in table_rows)


@pytest.mark.parametrize(("table", "protocol"), [("table6", "linear"), ("table7", "fine-tuned")])
def test_the_main_tables_have_the_very_numbers_of_the_runs(
    table: str, protocol: str, folder: Path, filled: Filled
) -> None:
    """Every evaluation of the three main tasks is in its table once, with its mean and std; and nothing else is."""
    found = {
        (row["method"].removesuffix(", ResNet-18"), row["column"].split(",")[0], row["column"]): row
        for row in rows(folder, table)
    }
    checked = 0
    for run, result in filled.results:
        if result.protocol != protocol or result.task not in ("UnbiasedEmotion", "Politics", "Hateful Memes"):
            continue
        if result.task == "Hateful Memes" and result.setup != "image+text-frozen":
            continue  # these tables have the main setup only (Sec. 5.2)
        mine = [r for (method, task, _), r in found.items() if (method, task) == (result.method, result.task)]
        for row in mine:
            assert row["runs"] == run
        means = [float(row["value"]) for row in mine]
        assert any(mean == pytest.approx(result.test_mean or result.val_mean) for mean in means)
        checked += len(mine)
    assert checked == len(found) > 0


def test_all_that_was_never_run_is_missing_and_never_zero(folder: Path) -> None:
    for table in ("table6", "table7"):
        text = (folder / f"{table}.md").read_text()
        (vqa,) = [line for line in text.splitlines() if "VQAGrid" in line]
        cells = [cell.strip() for cell in vqa.strip("|").split("|")]
        assert set(cells[2:]) == {"not run"}
        assert {row["method"] for row in rows(folder, table)} <= {
            "Random Init", "VisE-1.2M", "VisE-1.2M-C", "VisE-R", "VisE-1.2M (MoCo-v2)",
        }  # fmt: skip


@pytest.mark.parametrize("name", ["figure3", "figure4", "figure5", "figure6"])
def test_figures_of_scores_are_drawn_from_the_runs(name: str, folder: Path, filled: Filled) -> None:
    points = [p for panel in filled.client.report_data(name)["panels"] for p in panel["points"]]
    run = [point for point in points if point["mean"] is not None]
    missing = [point for point in points if point["mean"] is None]
    assert run
    assert missing
    known = {run for run, _ in filled.results}
    assert all(point["runs"] and set(point["runs"]) <= known for point in run)
    assert not any(point["runs"] for point in missing)
    text = words(folder / f"{name}.svg")
    assert "from our own runs" in text
    assert "generated, not real" in text


def test_figure_6_has_every_setup_and_the_text_alone(filled: Filled) -> None:
    panels = {panel["key"]: panel["points"] for panel in filled.client.report_data("figure6")["panels"]}
    ours = {key: {p["method"] for p in points if p["mean"] is not None} for key, points in panels.items()}
    both, alone = {"Random Init", "VisE-1.2M"}, {"Text Only"}
    assert ours == {
        "a": both, "b": both, "c": both, "d": both, "text-fine-tuned": alone, "text-linear": alone,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["figure7", "figure8"])
def test_figures_of_predictions_are_drawn_from_the_runs(name: str, folder: Path, filled: Filled) -> None:
    data = filled.client.report_data(name)
    (compared,) = filled.client.runs(stage="qualitative", all=True).items
    assert data["run"] == str(compared.id)
    assert data["rows"]
    columns = {column["method"]: column for column in data["columns"]}
    assert [m for m, column in columns.items() if column["run"]] == ["Random Init", "VisE-1.2M"]
    assert [m for m, column in columns.items() if not column["run"]] == ["IN-Sup", "IG-940M-IN", "VisE-250M"]
    made_by = {
        (result.method, run)
        for run, result in filled.results
        if (result.task, result.protocol) == ("UnbiasedEmotion", "fine-tuned")
    }
    assert {(m, column["evaluation"]) for m, column in columns.items() if column["run"]} <= made_by
    text = words(folder / f"{name}.svg")
    assert "generated, not real" in text
    assert "not run" in text
    assert text.count("✓") + text.count("✗") == 2 * len(data["rows"]) + 2


def test_one_report_alone_is_what_all_wrote(filled: Filled, folder: Path, tmp_path: Path) -> None:
    told = filled.vise("report", "figure7", "--format", "svg", "--out", tmp_path / "seven.svg")
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "seven.svg").read_bytes() == (folder / "figure7.svg").read_bytes()
    assert filled.vise("report", "table6").stdout == (folder / "table6.md").read_text()


def test_the_paired_test_of_two_runs_from_the_shell(filled: Filled) -> None:
    a, b = (
        next(
            run
            for run, result in filled.results
            if (result.method, result.task, result.protocol) == (method, "UnbiasedEmotion", "linear")
        )
        for method in ("VisE-1.2M", "Random Init")
    )
    told = filled.vise("paired-test", a, b)
    assert told.returncode == 0, told.stderr
    assert "VisE-1.2M − Random Init" in told.stdout
    assert "synthetic" in told.stdout
