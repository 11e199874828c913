"""``vise report --local``: results of local runs in tables, from the folders alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vise_client.cli import app
from vise_client.local.results import local_evaluations, local_report
from vise_core.errors import BadInput
from vise_core.specs.base import Provenance, Result
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData, GridPoint, SplitResult
from vise_core.specs.reports.tables import Selection

ALL = Selection()


def provenance(stage: str, started_at: str) -> Provenance:
    return Provenance(
        stage=stage,
        seed=0,
        started_at=started_at,
        wall_seconds=1,
        peak_memory_bytes=1,
        device="cpu",
        git_commit=None,
        packages={},
        inputs={},
    )


def evaluation(method: str, test: float, *, hour: int = 10, task: str = "Mood") -> EvaluateResult:
    point = GridPoint(base_lr=0.1, weight_decay=0.01, val=50, test=test)
    parts = ("ab" * 32, "cd" * 32, "ef" * 32)
    split = SplitResult(split=0, chosen=point, grid=(point,), s_lr=0, s_wd=0, sizes=(7, 1, 2), parts=parts)
    return EvaluateResult(
        provenance=provenance("evaluate", f"2026-01-01T{hour:02d}:00:00+00:00"),
        method=method,
        backbone="resnet50",
        weights="random",
        task=task,
        classes=("calm", "tense"),
        protocol="linear",
        features="cached",
        val_mean=50,
        val_std=None,
        test_mean=test,
        test_std=None,
        splits=(split,),
        batch=128,
        data=EvaluationData(
            images=10, images_digest="01" * 32, labels_digest="23" * 32, splits_digest="45" * 32
        ),
    )


def write(folder: Path, result: Result) -> None:
    """As ``vise run --local`` leaves it: beside the work folder, and of evaluations once more as an artifact."""
    for place in (folder, folder / "artifacts"):
        place.mkdir(parents=True)
        (place / "result.json").write_text(result.model_dump_json())


def test_a_table_of_two_local_runs(tmp_path: Path) -> None:
    write(tmp_path / "out" / "random", evaluation("Random Init", 30))
    write(tmp_path / "out" / "vise", evaluation("VisE", 75, hour=11))
    lines = local_report([tmp_path / "out"], "results", None, ALL).decode().splitlines()
    assert lines[0] == "| Method | Backbone | Mood, linear (accuracy) |"
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:4]] == ["Random Init", "VisE"]
    assert "30.00" in lines[2]
    assert "**75.00" in lines[3]


def test_results_of_other_stages_are_passed_over_and_a_folder_named_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path / "posts", Result(provenance=provenance("ingest", "2026-01-01T09:00:00+00:00")))
    write(tmp_path / "vise", evaluation("VisE", 75))
    evaluations = local_evaluations([tmp_path, tmp_path / "vise"])
    assert [result.method for _, result in evaluations] == ["VisE"]


def test_the_newest_comes_first_whatever_the_folders_are_called(tmp_path: Path) -> None:
    write(tmp_path / "a", evaluation("VisE", 75, hour=12))
    write(tmp_path / "b", evaluation("VisE", 60, hour=11))
    assert [result.test_mean for _, result in local_evaluations([tmp_path])] == [75, 60]


def test_the_command_writes_a_file_and_narrows_to_a_task(tmp_path: Path) -> None:
    write(tmp_path / "a", evaluation("VisE", 75))
    write(tmp_path / "b", evaluation("VisE", 60, task="Light"))
    out = tmp_path / "table.csv"
    arguments = ["report", "--local", str(tmp_path), "--format", "csv", "--task", "Light", "--out", str(out)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "Light" in out.read_text()
    assert "Mood" not in out.read_text()


def test_a_table_of_the_paper_from_local_runs(tmp_path: Path) -> None:
    write(tmp_path / "a", evaluation("VisE-250M", 44.25, task="UnbiasedEmotion"))
    text = local_report([tmp_path], "table6", "csv", ALL).decode()
    assert [line for line in text.splitlines() if ",44.25," in line and "UnbiasedEmotion" in line]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("results", "svg"), "results are written as"),
        (("table6", "svg"), "table6 is written as"),
        (("table99", None), "no report 'table99' of local runs"),
        (("figure7", None), "no report 'figure7' of local runs"),
    ],
)
def test_what_cannot_be_written_says_what_can(tmp_path: Path, arguments, message) -> None:
    write(tmp_path / "a", evaluation("VisE", 75))
    with pytest.raises(BadInput, match=message):
        local_report([tmp_path], *arguments, ALL)


def test_a_folder_without_an_evaluation_and_a_damaged_result_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="empty: no evaluation in this folder"):
        local_evaluations([tmp_path / "empty"])
    with pytest.raises(BadInput, match="missing: no evaluation in this folder"):
        local_evaluations([tmp_path / "missing"])
    write(tmp_path / "a", evaluation("VisE", 75))
    (tmp_path / "a" / "result.json").write_text("{")
    with pytest.raises(BadInput, match=r"result\.json: not a result of a run"):
        local_evaluations([tmp_path])
    write(tmp_path / "b", evaluation("VisE", 75))
    with pytest.raises(BadInput, match="no evaluation of 'Light'; one of Mood"):
        local_report([tmp_path / "b"], "results", None, Selection(task="Light"))
