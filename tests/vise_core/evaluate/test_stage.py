import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.vise_core.evaluate.specs import small_spec, splits
from vise_core.errors import BadInput, MissingInput, OtherRun, Stopped
from vise_core.evaluate import stage
from vise_core.evaluate.stage import run
from vise_core.integrity import cache
from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint import save_checkpoint
from vise_core.models.classifier import load_classifier
from vise_core.models.heads import linear_head
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.setups import PretrainedWeights
from vise_core.specs.tasks.kinds import FolderTask
from vise_core.stage import run_stage
from vise_core.tasks import load_task, task_splits
from vise_core.tasks.identity import evaluation_data, split_parts

CACHED = small_spec(
    splits=splits(2), base_lrs=(4.0, 0.0025), weight_decays=(0.01, 0.0001), epochs=40, milestones=(30,)
)
AUGMENTED = CACHED.model_copy(update={"augment": True, "epochs": 3})
FINE_TUNED = CACHED.model_copy(
    update={
        "protocol": "fine-tuned",
        "augment": True,
        "epochs": 2,
        "base_lrs": (0.3, 0.01),
        "weight_decays": (0.001,),
        "splits": splits(1),
    }
)


def test_separable_classes_are_told_apart_from_cached_features(colours: Path, tmp_path: Path, reporter):
    result = run(CACHED, {"dataset": colours}, tmp_path, reporter)
    assert result.test_mean is not None
    assert result.test_mean > 95
    assert (result.features, result.method, result.weights) == ("cached", "Random Init", "random")
    assert [split.sizes for split in result.splits] == [(18, 6, 6)] * 2
    tests = [split.chosen.test for split in result.splits]
    assert result.test_std == pytest.approx(np.std(tests, ddof=1))
    assert set(reporter.curves) == {
        "train_loss",
        "val_loss",
        "val_accuracy",
        "val_accuracy/split0",
        "val_accuracy/split1",
    }
    assert len(reporter.curves["val_accuracy"]) == 40


def test_a_result_knows_its_data_and_splits(colours: Path, tmp_path: Path, reporter, monkeypatch):
    quick = CACHED.model_copy(update={"epochs": 1, "milestones": (), "base_lrs": (0.0025,)})
    hashed: list[Path] = []
    digests_of = cache.file_digests
    monkeypatch.setattr(stage, "file_digests", lambda paths, **_: hashed.extend(paths) or digests_of(paths))
    monkeypatch.setattr(cache, "file_digests", lambda *_, **__: pytest.fail("images are hashed twice"))
    result = run(quick, {"dataset": colours}, tmp_path / "work", reporter)
    assert sorted(hashed) == sorted(colours.rglob("*.png"))
    images = load_task(quick.task, colours)
    splits = task_splits(images, quick.splits)
    assert result.data == evaluation_data(images, splits, digests_of(images.paths))
    assert [split.parts for split in result.splits] == [
        split_parts(split, digests_of(images.paths)) for split in splits
    ]
    assert result.splits[0].parts != result.splits[1].parts


@pytest.mark.slow
def test_a_task_without_a_name_is_named_after_its_data_set(colours: Path, tmp_path: Path, reporter):
    quick = CACHED.model_copy(update={"epochs": 1, "milestones": (), "base_lrs": (0.0025,)})
    own = quick.model_copy(update={"task": FolderTask(name="shades")})
    names = []
    runs = ((quick, {}), (quick, {"dataset": "my cats"}), (own, {"dataset": "my cats"}))
    for number, (spec, told) in enumerate(runs):
        work = tmp_path / f"work-{number}"
        result = run_stage("evaluate", spec, {"dataset": colours}, work, reporter, names=told)
        assert isinstance(result, EvaluateResult)
        names.append(result.task)
    assert names == [colours.name, "my cats", "shades"]


def test_artifacts_say_the_same_as_the_result(colours: Path, tmp_path: Path, reporter):
    result = run(CACHED, {"dataset": colours}, tmp_path, reporter)
    assert EvaluateResult.model_validate_json(reporter.artifacts["result"].read_text()) == result
    rows = pq.read_table(reporter.artifacts["predictions"]).to_pylist()
    assert len(rows) == 12
    for split in (0, 1):
        mine = [row for row in rows if row["split"] == split]
        right = 100 * np.mean([row["label"] == row["predicted"] for row in mine])
        assert right == pytest.approx(result.splits[split].chosen.test)
    scores = [rows[0][f"score_{name}"] for name in result.classes]
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert rows[0]["predicted"] == result.classes[int(np.argmax(scores))]
    classifier = load_classifier(reporter.artifacts["predictor"])
    assert classifier.classes == ("blue", "green", "red")
    assert (classifier.image_size, classifier.resize) == (32, 37)


@pytest.mark.parametrize("spec", [CACHED, AUGMENTED], ids=["cached", "augmented"])
def test_linear_evaluation_leaves_the_backbone_as_it_was(spec, colours: Path, tmp_path: Path, reporter):
    run(spec, {"dataset": colours}, tmp_path, reporter)
    before = build_backbone("resnet18", seed=0).state_dict()
    after = load_classifier(reporter.artifacts["predictor"]).backbone.state_dict()
    # Batch-norm statistics and counters are part of it (method 7, trap 3).
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any("running_mean" in name for name in before)


@pytest.mark.slow
def test_fine_tuning_moves_weights_and_batch_norm(colours: Path, tmp_path: Path, reporter):
    result = run(FINE_TUNED, {"dataset": colours}, tmp_path, reporter)
    before = build_backbone("resnet18", seed=0).state_dict()
    after = load_classifier(reporter.artifacts["predictor"]).backbone.state_dict()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(moved) == len(before)
    assert result.features == "augmented"
    assert sorted(reporter.curves["train_loss"]) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("spec", "questions"),
    [(CACHED, 20), (CACHED, 1), (AUGMENTED, 3), (FINE_TUNED, 7), (FINE_TUNED, 1)],
    ids=["cached", "cached early", "augmented", "fine-tuned", "fine-tuned early"],
)
@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    spec, questions: int, colours: Path, tmp_path: Path, reporter, stop_after, timeless, feature_cache: Path
):
    whole = run(spec, {"dataset": colours}, tmp_path / "whole", reporter)
    scores = pq.read_table(reporter.artifacts["predictions"])
    # The other run is to compute its features itself, and may be stopped while it does.
    shutil.rmtree(feature_cache, ignore_errors=True)
    stopped = stop_after(questions)
    with pytest.raises(Stopped):
        run(spec, {"dataset": colours}, tmp_path / "cut", stopped)
    resumed = stop_after(10**9)
    ended = run(spec, {"dataset": colours}, tmp_path / "cut", resumed)
    assert timeless(ended) == timeless(whole)
    assert pq.read_table(resumed.artifacts["predictions"]).equals(scores)
    curves = stopped.curves.get("train_loss", {}) | resumed.curves["train_loss"]
    assert curves == reporter.curves["train_loss"]


@pytest.mark.slow
def test_a_finished_fine_tuning_is_not_done_again(colours: Path, tmp_path: Path, reporter, stop_after):
    first = stop_after(8)  # each training asks 6 times: 2 epochs of 3 batches
    with pytest.raises(Stopped):
        run(FINE_TUNED, {"dataset": colours}, tmp_path, first)
    assert len(json.loads((tmp_path / "state/state.json").read_text())["facts"]["done"]) == 1
    run(FINE_TUNED, {"dataset": colours}, tmp_path, reporter)
    assert min(reporter.curves["train_loss"]) == 3


@pytest.mark.slow
def test_a_state_of_another_spec_is_rejected_and_fresh_starts_over(
    colours: Path, tmp_path: Path, reporter, timeless
):
    place, data = tmp_path / "work", {"dataset": colours}
    run_stage("evaluate", AUGMENTED, data, place, reporter)
    other = AUGMENTED.model_copy(update={"seed": 1})
    with pytest.raises(OtherRun, match=r"spec\.seed was 0, now 1"):
        run_stage("evaluate", other, data, place, reporter)
    again = run_stage("evaluate", other, data, place, reporter, fresh=True)
    fresh = run_stage("evaluate", other, data, tmp_path / "fresh", reporter)
    assert again.provenance.inputs == fresh.provenance.inputs
    assert timeless(again) == timeless(fresh).model_copy(update={"provenance": again.provenance})


def test_a_pretrained_checkpoint_is_judged_and_named_by_its_signals(colours: Path, tmp_path: Path, reporter):
    backbone = build_backbone("resnet18", seed=3)
    heads = {"comments": linear_head(512, 7), "reactions": linear_head(512, 4)}
    save_checkpoint(tmp_path / "ckpt", backbone, heads, image_size=32, synthetic=True)
    spec = CACHED.model_copy(update={"weights": PretrainedWeights(), "image_size": None, "epochs": 2})
    inputs = {"dataset": colours, "checkpoint": tmp_path / "ckpt"}
    result = run(spec, inputs, tmp_path / "work", reporter)
    assert (result.method, result.weights, result.synthetic) == ("VisE", "pretrained", True)
    with pytest.raises(MissingInput, match="checkpoint"):
        run(spec, {"dataset": colours}, tmp_path / "none", reporter)


def test_an_unreadable_image_refuses_the_task_by_name(tmp_path: Path, colours: Path, reporter):
    shutil.copytree(colours, tmp_path / "set")
    (tmp_path / "set/red/broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(BadInput, match=r"red/broken\.png"):
        run(CACHED, {"dataset": tmp_path / "set"}, tmp_path / "work", reporter)


KILLED = """
import os, signal, sys
from pathlib import Path
from vise_core.evaluate import cache as features
from vise_core.evaluate import stage
from vise_core.evaluate.stage import run
from vise_core.integrity import cache
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateSpec

class Doomed(LocalReporter):
    left = 9  # a training asks 6 times, so the second of two is under way

    def should_stop(self):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

spec, dataset, work = sys.argv[1:]
run(EvaluateSpec.model_validate_json(spec), {"dataset": Path(dataset)}, Path(work), Doomed(Path(work) / "out"))
"""


def test_a_run_that_was_killed_ends_as_one_that_was_not(colours: Path, tmp_path: Path, reporter, timeless):
    command = [
        sys.executable,
        "-c",
        KILLED,
        FINE_TUNED.model_dump_json(),
        str(colours),
        str(tmp_path / "cut"),
    ]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "cut/state/state.json").is_file()
    whole = run(
        FINE_TUNED, {"dataset": colours}, tmp_path / "whole", LocalReporter(tmp_path / "published-whole")
    )
    ended = run(FINE_TUNED, {"dataset": colours}, tmp_path / "cut", reporter)
    assert timeless(ended) == timeless(whole)
    assert min(reporter.curves["train_loss"]) == 3, "the finished training was kept"


@pytest.mark.slow
def test_augmented_images_do_not_depend_on_who_decodes_them(colours: Path, tmp_path: Path, reporter):
    alone = run(AUGMENTED, {"dataset": colours}, tmp_path / "alone", reporter)
    curve = dict(reporter.curves["train_loss"])
    helped = AUGMENTED.model_copy(
        update={"compute": AUGMENTED.compute.model_copy(update={"loader_workers": 2})}
    )
    assert run(helped, {"dataset": colours}, tmp_path / "helped", reporter) == alone
    assert reporter.curves["train_loss"] == curve
    assert alone.features == "augmented"
