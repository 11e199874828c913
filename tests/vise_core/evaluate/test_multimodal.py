"""Hateful Memes with images and texts: every setup of Fig. 6 and text alone, on the real packaged encoder."""

import copy
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from vise_core.errors import BadCheckpoint, BadInput, Stopped
from vise_core.evaluate import stage
from vise_core.evaluate.finetune import finetune, progress, train
from vise_core.evaluate.loading import epoch_batches, eval_transform, image_batches
from vise_core.evaluate.stage import run
from vise_core.models.backbones import build_backbone
from vise_core.models.heads import linear_head
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateResult, EvaluateSpec
from vise_core.specs.evaluation.presets import MULTIMODAL
from vise_core.specs.tasks.kinds import CsvTask, HatefulMemesTask
from vise_core.tasks import load_task
from vise_core.text.encoder import load_text_encoder
from vise_core.text.files import packaged_encoder
from vise_core.training.state import SavedState
from vise_core.training.training import Training

SAYINGS = (("what a lovely day", "so happy for you"), ("I hate them all", "disgusting, every one of them"))
TRAIN, DEV = [0, 1] * 8, [0, 1, 1, 0, 1, 0, 0, 1, 0]


@pytest.fixture(scope="session")
def memes(tmp_path_factory: pytest.TempPathFactory, layouts) -> Path:
    """The published layout; what is said tells the label, and so does the picture's shade."""
    root = layouts.memes(tmp_path_factory.mktemp("memes"), {"train": TRAIN, "dev": DEV})
    for name in ("train", "dev"):
        path = root / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["text"] = f"{SAYINGS[row['label']][row['id'] % 2]} {row['id']}"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def spec(setup: str, protocol: str, /, **changes) -> EvaluateSpec:
    return EvaluateSpec.model_validate(
        {
            "weights": {"kind": "random", "backbone": "resnet18"},
            "task": {"kind": "hateful_memes"},
            "setup": setup,
            "protocol": protocol,
            "optimizer": "sgd" if setup == "image" else "adamw",
            "augment": protocol == "fine-tuned",
            "base_lrs": [0.0025, 0.00025] if protocol == "fine-tuned" else [0.25, 0.0025],
            "weight_decays": [0.001],
            "epochs": 2 if protocol == "fine-tuned" else 15,
            "milestones": [1],
            "batch": 8,
            "image_size": 32,
            "compute": {"device": "cpu"},
        }
        | changes
    )


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Every weight and every buffer, the unsaved ones too."""
    return {n: t.detach().clone() for n, t in (*module.named_parameters(), *module.named_buffers())}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The towers as an evaluation loads them, and those that it trains."""
    seen = SimpleNamespace(backbone=None, encoder=None, trained=[])
    load_weights, load_texts, train_one = stage.load_weights, stage.load_texts, finetune.train

    def weights(*args):
        loaded = load_weights(*args)
        seen.backbone = loaded.backbone
        return loaded

    def texts(*args):
        loaded = load_texts(*args)
        seen.encoder = loaded.encoder
        return loaded

    def trained(*args):
        towers, took = train_one(*args)
        seen.trained.append(towers)
        return towers, took

    monkeypatch.setattr(stage, "load_weights", weights)
    monkeypatch.setattr(stage, "load_texts", texts)
    monkeypatch.setattr(finetune, "train", trained)
    return seen


@pytest.mark.parametrize(("setup", "protocol"), MULTIMODAL)
@pytest.mark.slow
def test_a_setup_trains_what_it_names_and_nothing_else(
    setup: str, protocol: str, memes: Path, tmp_path: Path, reporter, watched
):
    result = run(spec(setup, protocol), {"dataset": memes}, tmp_path / "work", reporter)

    assert (result.setup, result.protocol, result.metric) == (setup, protocol, "roc_auc")
    assert all(0 <= point.val <= 1 for point in result.splits[0].grid)
    rows = pq.read_table(reporter.artifacts["predictions"]).to_pylist()
    hateful = [row["label"] == "hateful" for row in rows]
    scores = [row["score_hateful"] for row in rows]
    assert result.val_mean == pytest.approx(roc_auc_score(hateful, scores))
    assert EvaluateResult.model_validate_json(reporter.artifacts["result"].read_text()) == result

    image = build_backbone("resnet18", seed=0) if setup != "text" else None
    text = load_text_encoder(packaged_encoder()) if setup != "image" else None
    assert (watched.backbone is None, watched.encoder is None) == (image is None, text is None)

    # What was loaded is never trained: trainings work on copies, frozen towers are only read. Batch-norm statistics
    # are among the buffers (method 7, trap 3).
    if image is not None:
        assert any("running_var" in name for name in state_of(image))
        assert moved(state_of(image), state_of(watched.backbone)) == set()
    if text is not None:
        assert moved(state_of(text), state_of(watched.encoder)) == set()
        assert result.text_tower is not None
        assert (result.text_tower.dim, result.text_tower.limit, result.text_tower.at_limit) == (384, 256, 0)

    assert len(watched.trained) == (2 if protocol == "fine-tuned" else 0)
    for towers in watched.trained:
        if image is None:
            assert towers.backbone is None
        else:
            assert moved(state_of(image), state_of(towers.backbone)) == set(state_of(image))
        if setup in ("image", "image+text-frozen"):
            assert towers.text is None, "a frozen tower is not even there to be trained"
        else:
            learnt = moved(state_of(text), state_of(towers.text))
            # A tower's unused layer on top, and its constants, stay.
            assert learnt == {n for n, _ in text.named_parameters() if "pooler" not in n}

    # A predictor answers for an image alone.
    assert ("predictor" in reporter.artifacts) == (setup == "image")
    assert (result.features, result.backbone) == {
        "text": ("none", "none"),
        "image": (result.features, "resnet18"),
    }.get(setup, ("augmented" if protocol == "fine-tuned" else "cached", "resnet18"))


@pytest.mark.slow
def test_text_alone_needs_no_backbone_and_finds_what_is_said(memes: Path, tmp_path: Path, reporter):
    text_only = spec("text", "linear", weights={"kind": "pretrained"}, epochs=40, milestones=[30])
    result = run(text_only, {"dataset": memes}, tmp_path / "work", reporter)
    assert (result.method, result.weights, result.val_mean) == ("Text Only", "none", 1.0)


@pytest.mark.slow
def test_a_linear_classifier_stands_on_both_features_side_by_side(memes: Path, tmp_path: Path, reporter):
    """Against torch's own layers and AdamW on features computed apart."""
    one = spec("image+text-frozen", "linear", base_lrs=[0.0025], epochs=5)
    run(one, {"dataset": memes}, tmp_path / "work", reporter)
    rows = pq.read_table(reporter.artifacts["predictions"]).to_pylist()

    images = load_task(HatefulMemesTask(), memes)
    backbone = build_backbone("resnet18", seed=0).eval()
    everything = np.arange(len(images))
    ((_, pixels),) = image_batches(
        images, [everything], eval_transform(32, 37, backbone.mean, backbone.std), 0
    )
    encoder = load_text_encoder(packaged_encoder())
    with torch.no_grad():
        embedded = [encoder(encoder.tokenise([text]))[0] for text in images.texts]
        features = torch.cat([backbone(pixels), torch.stack(embedded)], 1)
    head = linear_head(512 + 384, 2, 0.01, seed=0)
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=0.001)
    labels = torch.from_numpy(images.labels)
    for epoch in range(5):
        optimizer.param_groups[0]["lr"] = 0.0025 / 256 * 8 * (0.1 if epoch >= 1 else 1)
        for batch in epoch_batches(np.arange(16), one, 0, epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(features[batch]), labels[batch]).backward()
            optimizer.step()
    expected = torch.softmax(head(features[16:]), -1)[:, 1].tolist()
    np.testing.assert_allclose([row["score_hateful"] for row in rows], expected, rtol=2e-4)


@pytest.mark.slow
def test_a_frozen_tower_is_read_without_dropout_and_once(memes: Path, tmp_path: Path, reporter, watched):
    run(spec("image+text-frozen", "fine-tuned"), {"dataset": memes}, tmp_path / "work", reporter)
    kept = np.load(SavedState(tmp_path / "work", reporter).file("texts.npy"))
    encoder = load_text_encoder(packaged_encoder())
    assert encoder.model.config.hidden_dropout_prob > 0
    assert kept.tobytes() == encoder.embed(load_task(HatefulMemesTask(), memes).texts).tobytes()


@pytest.mark.parametrize(
    ("setup", "protocol", "epochs", "questions"),
    [
        ("image+text", "fine-tuned", 2, 7),
        ("image+text-frozen", "fine-tuned", 2, 4),
        ("image+text-frozen", "linear", 4, 4),
    ],
)
@pytest.mark.slow
def test_a_stopped_run_ends_as_one_that_was_not(
    setup,
    protocol,
    epochs,
    questions,
    memes: Path,
    tmp_path: Path,
    reporter,
    stop_after,
    timeless,
    monkeypatch,
):
    monkeypatch.setattr(train, "SAVE_SECONDS", 0.0)
    evaluation = spec(setup, protocol, epochs=epochs)
    whole = run(evaluation, {"dataset": memes}, tmp_path / "whole", reporter)
    stopped = stop_after(questions)
    with pytest.raises(Stopped):
        run(evaluation, {"dataset": memes}, tmp_path / "cut", stopped)
    resumed = stop_after(10**9)
    ended = run(evaluation, {"dataset": memes}, tmp_path / "cut", resumed)
    assert timeless(ended) == timeless(whole)
    kept = pq.read_table(reporter.artifacts["predictions"])
    assert pq.read_table(resumed.artifacts["predictions"]).equals(kept)
    before, after = (one.curves.get("train_loss", {}) for one in (stopped, resumed))
    assert before | after == reporter.curves["train_loss"]
    assert not before.keys() & after.keys(), "no epoch was done twice"
    assert len(before) >= 1


KILLED = """
import os, signal, sys
from pathlib import Path
from vise_core.evaluate.finetune import train
from vise_core.evaluate.stage import run
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateSpec

train.SAVE_SECONDS = 0.0

class Doomed(LocalReporter):
    left = 5  # an epoch has two steps, so the third is under way

    def should_stop(self):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

spec, dataset, work = sys.argv[1:]
run(EvaluateSpec.model_validate_json(spec), {"dataset": Path(dataset)}, Path(work), Doomed(Path(work) / "out"))
"""


def test_a_killed_training_goes_on_after_its_last_epoch(memes: Path, tmp_path: Path, reporter, timeless):
    """Dropout, optimiser and data order are those of the run that nobody killed."""
    evaluation = spec("text", "fine-tuned", epochs=4, base_lrs=[0.0025])
    command = [sys.executable, "-c", KILLED, evaluation.model_dump_json(), str(memes), str(tmp_path / "cut")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    facts = json.loads((tmp_path / "cut/state/state.json").read_text())["facts"]
    assert (facts["training"]["number"], facts["training"]["progress"]["epoch"]) == (0, 2)
    whole = run(
        evaluation, {"dataset": memes}, tmp_path / "whole", LocalReporter(tmp_path / "published-whole")
    )
    ended = run(evaluation, {"dataset": memes}, tmp_path / "cut", reporter)
    assert timeless(ended) == timeless(whole)
    assert min(reporter.curves["train_loss"]) == 3
    left = {path.name.partition("-")[2] or path.name for path in (tmp_path / "cut/state").iterdir()}
    assert left == {"state.json", "best-0.pt"}, "a finished training's weights are not kept"


def test_a_training_kept_midway_is_put_back_to_the_last_bit(tmp_path: Path, reporter):
    """SGD with momentum and batch-norm as well as AdamW; another training's state is left alone."""

    def training() -> Training:
        torch.manual_seed(1)
        network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
        optimizer = optimizers[kind](network.parameters())
        return Training(network, optimizer, torch.amp.GradScaler("cpu", enabled=False), torch.device("cpu"))

    def step(one: Training) -> float:
        one.optimizer.zero_grad()
        loss = one.network(torch.randn(6, 4)).square().mean()
        loss.backward()
        one.optimizer.step()
        return float(loss.detach())

    optimizers = {
        "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.01),
    }
    for kind in optimizers:
        (tmp_path / kind).mkdir()
        state = SavedState(tmp_path / kind, reporter)
        first = training()
        step(first)
        at = progress.Progress(epoch=1, steps=1, step_seconds=0.5, seconds=0.75)
        progress.save_progress(state, 3, first, at)
        losses = [step(first) for _ in range(3)]

        again = training()
        found = SavedState(tmp_path / kind, reporter)
        assert progress.restore_progress(found, 2, copy.deepcopy(again)) == progress.Progress()
        assert progress.restore_progress(found, 3, again) == at
        assert [step(again) for _ in range(3)] == losses
        assert moved(state_of(first.network), state_of(again.network)) == set()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"task": {"kind": "cub"}},
            "setup: image\\+text-frozen needs a task whose images come with texts.*not cub",
        ),
        ({"task": {"kind": "csv"}}, "csv with a text_column; not csv"),
        ({"optimizer": "sgd"}, "optimizer: setup image\\+text-frozen is trained with adamw"),
        ({"setup": "image+text"}, "linear protocol trains none; use image\\+text-frozen"),
        ({"compute": {"compile": True}}, "compute.compile\n.*Extra inputs are not permitted"),
        ({"protocol": "fine-tuned"}, "augment: fine-tuning reads images anew"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_sentence(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        spec("image+text-frozen", "linear", **changes)


def test_a_text_tower_that_is_none_is_refused(memes: Path, tmp_path: Path, reporter):
    (tmp_path / "empty").mkdir()
    inputs = {"dataset": memes, "text_encoder": tmp_path / "empty"}
    with pytest.raises(BadCheckpoint, match=r"no config\.json"):
        run(spec("text", "linear"), inputs, tmp_path / "work", reporter)
    assert reporter.curves == {}


@pytest.mark.slow
def test_ones_own_texts_are_a_column_of_the_csv_file(memes: Path, tmp_path: Path, reporter):
    root = tmp_path / "own"
    (root / "img").mkdir(parents=True)
    lines = ["path,label,split,caption"]
    images = load_task(HatefulMemesTask(), memes)
    for i, text in enumerate(images.texts):
        name = images.relative_path(i)
        (root / name).write_bytes(images.paths[i].read_bytes())
        lines.append(f'{name},{images.classes[images.labels[i]]},{"train" if i < 16 else "val"},"{text}"')
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    task = {"kind": "csv", "text_column": "caption", "metric": "roc_auc"}
    loaded = load_task(CsvTask.model_validate(task), root)
    assert loaded.texts == images.texts
    result = run(spec("text", "linear", task=task, epochs=40), {"dataset": root}, tmp_path / "work", reporter)
    assert result.val_mean == 1.0
    with pytest.raises(BadInput, match="no column 'words'"):
        load_task(CsvTask.model_validate(task | {"text_column": "words"}), root)
