"""Trainings that diverge: never chosen, named in the result, and a clear error where nothing else is left."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.vise_core.evaluate.specs import small_spec, splits
from vise_core.errors import BadCheckpoint, Diverged, Stopped
from vise_core.evaluate import stage
from vise_core.evaluate.linear import linear
from vise_core.evaluate.stage import run
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import load_classifier, save_classifier
from vise_core.report.observations import observe
from vise_core.report.tables import build_table, render_table
from vise_core.specs.evaluate import EvaluateResult, MedianStopping

CACHED = small_spec(splits=splits(2), base_lrs=(1e36, 0.0025), weight_decays=(0.01, 0.0001), epochs=6)
AUGMENTED = CACHED.model_copy(update={"augment": True, "epochs": 2})
FINE_TUNED = AUGMENTED.model_copy(
    update={
        "protocol": "fine-tuned",
        "weight_decays": (0.001,),
        "splits": splits(1),
    }
)


@pytest.mark.parametrize(
    ("spec", "combinations"),
    [(CACHED, True), (CACHED, False), (AUGMENTED, False), (FINE_TUNED, False)],
    ids=["combinations", "cached", "augmented", "fine-tuned"],
)
@pytest.mark.slow
def test_a_point_that_diverged_loses_and_is_named(
    spec, combinations, colours: Path, tmp_path: Path, reporter, monkeypatch
):
    monkeypatch.setattr(linear, "gram_pays", lambda *_: combinations)
    result = run(spec, {"dataset": colours}, tmp_path / "both", reporter)
    for split in result.splits:
        assert split.chosen.base_lr == 0.0025
        lost = [point for point in split.grid if point.base_lr == 1e36]
        assert all((p.val, p.test, p.val_secondary) == (None, None, {}) for p in lost)
        assert all(p.diverged and p.diverged_at_epoch in (1, 2) for p in lost)
        assert split.s_lr is None, "it would need a point that diverged"
        assert split.s_wd is not None
        assert split.edges["base_lr"] == "lowest"
    assert math.isfinite(result.val_mean)
    assert result.diverged == len(result.splits) * len(spec.weight_decays)
    assert EvaluateResult.model_validate_json(result.model_dump_json()) == result
    assert any("diverged in epoch" in message for message in reporter.messages)
    assert any("the chosen base_lr is the lowest of the grid" in message for message in reporter.messages)
    rows = pq.read_table(reporter.artifacts["predictions"]).to_pylist()
    scores = np.array([[row[f"score_{name}"] for name in result.classes] for row in rows])
    assert np.isfinite(scores).all()
    assert [row["predicted"] for row in rows] == [result.classes[i] for i in scores.argmax(1)]
    tensors = load_file(reporter.artifacts["predictor"] / "model.safetensors")
    assert all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point())
    # What is left is what a grid without the other learning rate gives.
    alone = run(
        spec.model_copy(update={"base_lrs": (0.0025,)}), {"dataset": colours}, tmp_path / "alone", reporter
    )
    assert result.test_mean == pytest.approx(alone.test_mean)
    assert result.val_mean == pytest.approx(alone.val_mean)


@pytest.mark.parametrize("spec", [CACHED, AUGMENTED, FINE_TUNED], ids=["cached", "augmented", "fine-tuned"])
@pytest.mark.slow
def test_where_every_point_diverged_the_error_says_what_to_do(spec, colours: Path, tmp_path: Path, reporter):
    hopeless = spec.model_copy(update={"base_lrs": (1e36, 1e35)})
    n = 2 * len(spec.weight_decays)
    for _ in range(2):  # a second attempt goes on from the state of the first
        with pytest.raises(
            Diverged, match=rf"split 0: {n} of {n} trainings .*base_lrs 1e\+36, 1e\+35.*Lower base_lrs"
        ):
            run(hopeless, {"dataset": colours}, tmp_path / "work", reporter)
    assert reporter.artifacts == {}
    assert any(not math.isfinite(value) for value in reporter.curves["val_loss"].values())


def test_a_run_that_was_stopped_after_a_point_diverged_goes_on_as_if_it_had_not(
    colours: Path, tmp_path: Path, reporter, stop_after, timeless
):
    whole = run(CACHED, {"dataset": colours}, tmp_path / "whole", reporter)
    with pytest.raises(Stopped):
        run(CACHED, {"dataset": colours}, tmp_path / "cut", stop_after(5))
    assert timeless(run(CACHED, {"dataset": colours}, tmp_path / "cut", stop_after(10**9))) == timeless(whole)


@pytest.mark.parametrize("spec", [CACHED, FINE_TUNED], ids=["cached", "fine-tuned"])
@pytest.mark.slow
def test_early_stopping_compares_with_finite_points_only(spec, colours: Path, tmp_path: Path, reporter):
    rule = MedianStopping(epochs=(1,), fewest=2)
    spec = spec.model_copy(update={"base_lrs": (1e36, 0.05, 1e-9, 0.04), "early_stopping": rule})
    result = run(spec, {"dataset": colours}, tmp_path, reporter)
    for split in result.splits:
        assert split.chosen.finished
        assert [p.base_lr for p in split.grid if p.diverged] == [1e36] * len(spec.weight_decays)
        assert all(p.stopped_at_epoch is None for p in split.grid if p.diverged)


def test_a_predictor_that_is_not_finite_is_neither_written_nor_loaded(
    colours: Path, tmp_path: Path, reporter
):
    spec = CACHED.model_copy(update={"base_lrs": (0.0025,), "epochs": 1})
    run(spec, {"dataset": colours}, tmp_path / "work", reporter)
    classifier = load_classifier(reporter.artifacts["predictor"])
    with torch.no_grad():
        classifier.head.bias[1] = float("inf")
    with pytest.raises(Diverged, match=r"head\.bias holds NaN or infinity"):
        save_classifier(tmp_path / "lost", classifier, {})

    path = reporter.artifacts["predictor"] / "model.safetensors"
    tensors = load_file(path)
    tensors["head.bias"][1] = float("nan")
    save_file(tensors, path)
    with pytest.raises(BadCheckpoint, match=r"head\.bias holds NaN or infinity"):
        load_classifier(reporter.artifacts["predictor"])


def test_tables_mark_what_diverged_and_leave_its_sensitivity_open(colours: Path, tmp_path: Path, reporter):
    result = run(CACHED, {"dataset": colours}, tmp_path, reporter)
    table = build_table([result])
    (cell,) = table.cells.values()
    assert "d" in cell.marks
    assert cell.diverged == 4
    for format in ("markdown", "latex"):
        assert "diverged: points of the grid" in render_table(table, format)
    line = next(csv.DictReader(io.StringIO(render_table(table, "csv"))))
    assert line["diverged_points"] == "4"
    assert "lowest base_lr" in line["grid_edges"]
    seen = observe(result)
    assert all(one.diverged for one in seen)
    assert {"s_lr", "s_wd"} & {one.metric for one in seen} == {"s_wd"}
    assert all(math.isfinite(value) for one in seen for value in one.values)


def test_a_batch_norm_that_overflowed_is_a_network_that_diverged(
    colours: Path, tmp_path: Path, reporter, monkeypatch
):
    """Divided by an infinite variance, outputs are finite; the predictor would not load."""

    def build(name: str, *, seed: int):
        made = build_backbone(name, seed=seed)
        made.trunk.bn1.running_var.fill_(math.inf)
        return made

    monkeypatch.setattr(stage, "build_backbone", build)
    spec = FINE_TUNED.model_copy(update={"base_lrs": (0.0025,)})
    with pytest.raises(Diverged, match="1 of 1 trainings diverged"):
        run(spec, {"dataset": colours}, tmp_path, reporter)
    assert reporter.artifacts == {}
