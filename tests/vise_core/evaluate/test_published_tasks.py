"""The paper's tasks, end to end through the stage: from the published layout to the result."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from tests.vise_core.evaluate.specs import small_spec
from vise_core.errors import BadInput, Stopped
from vise_core.evaluate.stage import run
from vise_core.report import build_table, render_table
from vise_core.specs.evaluate import EvaluateResult, EvaluateSpec
from vise_core.specs.tasks.kinds import CubTask, HatefulMemesTask, PoliticsTask
from vise_core.specs.tasks.splits import SplitSpec

LINEAR = small_spec(
    splits=SplitSpec(count=1),
    base_lrs=(4.0, 0.0025),
    weight_decays=(0.01, 0.0001),
    epochs=20,
    milestones=(15,),
)
FINE_TUNED = LINEAR.model_copy(
    update={
        "protocol": "fine-tuned",
        "augment": True,
        "epochs": 2,
        "base_lrs": (0.3, 0.01),
        "weight_decays": (0.001,),
    }
)
MEMES = {"train": [0, 1] * 8, "dev": [0, 1, 1, 0, 1, 0, 0, 1, 0]}


def on(spec: EvaluateSpec, task) -> EvaluateSpec:
    return spec.model_copy(update={"task": task})


def scored(reporter, result: EvaluateResult) -> tuple[np.ndarray, np.ndarray]:
    """(score of the second class, whether it is the label) of the predictions that were kept."""
    rows = pq.read_table(reporter.artifacts["predictions"]).to_pylist()
    second = result.classes[1]
    return np.array([row[f"score_{second}"] for row in rows]), np.array(
        [row["label"] == second for row in rows]
    )


@pytest.mark.parametrize("spec", [LINEAR, FINE_TUNED], ids=["linear", "fine-tuned"])
@pytest.mark.slow
def test_hateful_memes_are_chosen_by_val_roc_auc(spec, tmp_path: Path, reporter, layouts):
    root = layouts.memes(tmp_path / "memes", MEMES)
    result = run(on(spec, HatefulMemesTask()), {"dataset": root}, tmp_path / "work", reporter)

    (split,) = result.splits
    assert (result.metric, result.classes, split.sizes) == ("roc_auc", ("not hateful", "hateful"), (16, 9, 0))
    assert all(0 <= point.val <= 1 and point.test is None for point in split.grid)
    assert split.chosen.val == max(point.val for point in split.grid) == result.val_mean
    assert (result.val_std, result.test_mean) == (None, None)

    scores, hateful = scored(reporter, result)
    assert result.val_mean == pytest.approx(roc_auc_score(hateful, scores))
    measured = 100 * accuracy_score(hateful, scores > 0.5)
    assert result.secondary["accuracy"].val_mean == pytest.approx(measured)
    assert split.chosen.val_secondary == {"accuracy": pytest.approx(measured)}
    assert result.headline() == {
        "val_roc_auc": result.val_mean,
        "val_accuracy": pytest.approx(measured),
    }
    assert {"val_roc_auc", "val_accuracy"} <= set(reporter.curves)
    assert any(f"val macro ROC AUC {result.val_mean:.4f}" in message for message in reporter.messages)
    assert EvaluateResult.model_validate_json(reporter.artifacts["result"].read_text()) == result


def test_the_auc_chooses_even_where_accuracy_would_choose_otherwise():
    """The grid's point is the best by ``val``, whatever its accuracy says."""
    from vise_core.evaluate.grid import split_result
    from vise_core.specs.evaluation.results import GridPoint

    points = [
        GridPoint(base_lr=0.1, weight_decay=0.01, val=0.61, test=None, val_secondary={"accuracy": 70.0}),
        GridPoint(base_lr=0.01, weight_decay=0.01, val=0.64, test=None, val_secondary={"accuracy": 50.0}),
    ]
    chosen = split_result(0, points, (2, 2, 0), ("", "", "")).chosen
    assert (chosen.val, chosen.val_secondary) == (0.64, {"accuracy": 50.0})


def test_a_labelled_test_file_reports_and_an_unlabelled_one_is_left_out(tmp_path: Path, reporter, layouts):
    spec = on(LINEAR, HatefulMemesTask(val="dev_seen", test="test_seen"))
    files = {"train": MEMES["train"], "dev_seen": MEMES["dev"], "test_seen": [1, 0, 1, None, 0, None]}
    root = layouts.memes(tmp_path / "memes", files)
    result = run(spec, {"dataset": root}, tmp_path / "work", reporter)
    assert result.splits[0].sizes == (16, 9, 4)
    scores, hateful = scored(reporter, result)
    assert result.test_mean == pytest.approx(roc_auc_score(hateful, scores))
    assert set(result.headline()) == {"val_roc_auc", "test_roc_auc", "val_accuracy", "test_accuracy"}
    assert any("2 test images have no label" in message for message in reporter.messages)


def test_a_val_of_one_class_is_refused_before_anything_is_trained(tmp_path: Path, reporter, layouts):
    root = layouts.memes(tmp_path / "memes", {"train": [0, 1, 1], "dev": [0, 0]})
    with pytest.raises(BadInput, match="split 0: val has no image of hateful, so ROC AUC is not defined"):
        run(on(LINEAR, HatefulMemesTask()), {"dataset": root}, tmp_path / "work", reporter)
    assert reporter.curves == {}


@pytest.mark.slow
def test_a_stopped_evaluation_of_memes_ends_as_one_that_was_not(
    tmp_path: Path, reporter, layouts, stop_after, timeless
):
    root, spec = layouts.memes(tmp_path / "memes", MEMES), on(FINE_TUNED, HatefulMemesTask())
    whole = run(spec, {"dataset": root}, tmp_path / "whole", reporter)
    with pytest.raises(Stopped):
        run(spec, {"dataset": root}, tmp_path / "cut", stop_after(6))
    ended = run(spec, {"dataset": root}, tmp_path / "cut", stop_after(10**9))
    assert timeless(ended) == timeless(whole)


def test_cub_reports_top_1_and_top_5_on_val(tmp_path: Path, reporter, layouts):
    root = layouts.cub(tmp_path / "birds/CUB_200_2011/CUB_200_2011", species=7, train=4, test=2)
    result = run(on(LINEAR, CubTask()), {"dataset": root.parents[1]}, tmp_path / "work", reporter)
    (split,) = result.splits
    assert (result.metric, result.task, split.sizes) == ("top1", "CUB-200-2011", (28, 14, 0))
    rows = pq.read_table(reporter.artifacts["predictions"]).to_pylist()
    assert {row["part"] for row in rows} == {"val"}
    assert result.val_mean == pytest.approx(100 * np.mean([row["label"] == row["predicted"] for row in rows]))
    ranked = [sorted(result.classes, key=lambda name, row=row: -row[f"score_{name}"]) for row in rows]
    in_five = [row["label"] in names[:5] for row, names in zip(rows, ranked, strict=True)]
    assert result.secondary["top5"].val_mean == pytest.approx(100 * np.mean(in_five))
    assert "val_top1" in reporter.curves


def test_politics_draws_val_and_reports_the_published_test(tmp_path: Path, reporter, layouts):
    root = layouts.politics(tmp_path / "politics", train=40, test=8)
    result = run(on(LINEAR, PoliticsTask()), {"dataset": root}, tmp_path / "work", reporter)
    assert (result.metric, result.splits[0].sizes) == ("accuracy", (36, 4, 8))
    assert set(result.headline()) == {"val_accuracy", "test_accuracy"}


def test_the_report_writes_roc_auc_as_the_paper_does(tmp_path: Path, reporter, layouts):
    root = layouts.memes(tmp_path / "memes", MEMES)
    result = run(on(LINEAR, HatefulMemesTask()), {"dataset": root}, tmp_path / "work", reporter)
    assert f"{result.val_mean:.4f} (n=1)" in render_table(build_table([result]), "markdown")
