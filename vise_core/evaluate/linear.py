"""The linear protocol: a classifier on the pooled features of a frozen backbone (Sec. 4.2).

All splits and all points of the grid go through the epochs together. An image is augmented, decoded and sent
through the backbone once an epoch, whatever the number of splits and grid points; the draw depends on
(seed, epoch, image) only. Each head ends where training it alone on these images would end.
Without augmentation every epoch reuses the features of the evaluation crop (reported as "cached").
Where texts are read, their embeddings stand beside the image's features (Sec. 4.3); they are computed once.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vise_core.models.backbones import Backbone
from vise_core.models.classifier import ImageClassifier

from .early import Running, falls_behind
from .features import Features, write_features
from .grid import choose, choose_point, learning_rate, settings
from .heads import HeadBatch
from .job import Job, Outcome
from .loading import Indices, Look, as_tensor, epoch_batches, in_batches
from .metrics import measure
from .texts import TEXTS

SCORE_BATCH = 4096
IMAGES = "features.npy"
Towers = list[Features]
"""Features of all images under each tower that there is."""

CURVES_OF_SPLITS = 10
"""Splits that get a curve of their own; more would drown the rest."""


class _Epoch(NamedTuple):
    """Numbers of one split after an epoch, each (g,): one for each head."""

    train_loss: npt.NDArray[np.float64]
    val_loss: npt.NDArray[np.float64]
    val: dict[str, npt.NDArray[np.float64]]
    """By metric."""
    logits: npt.NDArray[np.float32]
    """(g, n, classes) on val."""


def evaluate_linear(job: Job) -> tuple[list[Outcome], ImageClassifier | None]:
    """Every split's grid, and split 0's chosen classifier where images alone are read.

    Raises Stopped with the state saved.
    """
    if job.backbone is not None:
        job.backbone.to(job.device).eval().requires_grad_(False)
    heads = _new_heads(job)
    features = _kept_features(job)
    running = _train(job, heads, features)
    outcomes = [
        _outcome(job, split, heads[split], running[split], features) for split in range(len(job.splits))
    ]
    if job.backbone is None or job.texts is not None:
        return outcomes, None
    chosen = running[0].points.index(choose_point(outcomes[0].points))
    head = job.new_head(0).to(job.device)
    with torch.no_grad():
        head.weight.copy_(heads[0].weight[chosen])
        head.bias.copy_(heads[0].bias[chosen])
    return outcomes, ImageClassifier(job.backbone, head, job.images.classes, image_size=job.image_size)


def _new_heads(job: Job) -> list[HeadBatch]:
    decays = [setting.weight_decay for setting in settings(job.spec)]
    return [
        HeadBatch(job.new_head(split).to(job.device), decays, job.spec.optimizer, job.spec.momentum)
        for split in range(len(job.splits))
    ]


def _kept_features(job: Job) -> Towers:
    """What the towers make of every image's evaluation crop and text: computed once, kept in the state."""
    names = [name for name, read in ((IMAGES, job.backbone), (TEXTS, job.texts)) if read is not None]
    if not job.state.facts:
        if job.backbone is not None:
            everything, look = np.arange(len(job.images)), job.plain_look(job.backbone)
            _extract(job, job.backbone, everything, look, job.workspace / IMAGES, "features")
        if job.texts is not None:
            job.embed_texts(job.workspace / TEXTS)
        job.state.save({"epoch": 0}, moved={name: job.workspace / name for name in names})
    return [np.load(job.state.file(name), mmap_mode="r") for name in names]


def _augmented_features(job: Job, epoch: int, needed: Indices, kept: Towers) -> Towers:
    """The same with the image's features of an epoch's crop; a text has no crops."""
    if job.backbone is None:
        return kept
    look = job.augmented_look(job.backbone, epoch)
    path, phase = job.workspace / "augmented.npy", f"epoch {epoch + 1}"
    return [_extract(job, job.backbone, needed, look, path, phase), *kept[1:]]


def _extract(job: Job, backbone: Backbone, indices: Indices, look: Look, path: Path, phase: str) -> Features:
    between = job.between(len(indices), "images", phase)
    return write_features(
        backbone, job.images, indices, look, path, job.spec.compute, job.device, between=between
    )


def _rows(job: Job, towers: Towers, batch: Indices) -> Tensor:
    """(b, features) float32: of each image all towers' features, side by side."""
    return torch.cat([as_tensor(features[batch], job.device) for features in towers], 1)


def _train(job: Job, heads: list[HeadBatch], features: Towers) -> list[Running]:
    """Trains the heads; which points of each split's grid got to the end. ``heads`` hold those only."""
    first = int(job.state.facts["epoch"])
    running = [Running(list(range(len(settings(job.spec))))) for _ in heads]
    if first:
        running = [Running.from_facts(facts) for facts in job.state.facts["running"]]
        for split, batch in enumerate(heads):
            batch.keep(running[split].points)
            batch.load_state(job.state.tensors(f"heads-{split}"))
    needed = np.unique(np.concatenate([split.train for split in job.splits]))
    for epoch in range(first, job.spec.epochs):
        if job.reporter.should_stop():
            _save(job, heads, running, epoch)
            job.state.raise_if_stopped()
        seen = _augmented_features(job, epoch, needed, features) if job.spec.augment else features
        results = [
            _epoch(job, split, heads[split], running[split], seen, features, epoch)
            for split in range(len(heads))
        ]
        _report(job, epoch, results)
        for split, result in enumerate(results):
            _stop_hopeless(job, split, heads[split], running[split], result, epoch + 1)
        if job.state.due():
            _save(job, heads, running, epoch + 1)
    _save(job, heads, running, job.spec.epochs)
    (job.workspace / "augmented.npy").unlink(missing_ok=True)
    return running


def _save(job: Job, heads: list[HeadBatch], running: list[Running], epoch: int) -> None:
    job.state.save(
        {"epoch": epoch, "running": [grid.facts() for grid in running]},
        tensors={f"heads-{split}": batch.state() for split, batch in enumerate(heads)},
    )


def _stop_hopeless(
    job: Job, split: int, heads: HeadBatch, running: Running, result: _Epoch, epoch: int
) -> None:
    """Drop the heads that the rule ends after this epoch, and keep what they were worth."""
    values = result.val[job.metric].tolist()
    ends = [falls_behind(job.spec.early_stopping, epoch, value, values) for value in values]
    if not any(ends):
        return
    grid = settings(job.spec)
    for position, number in enumerate(running.points):
        if ends[position]:
            point = job.point(split, grid[number], result.logits[position], None)
            running.stopped[number] = point.model_copy(update={"stopped_at_epoch": epoch})
    kept = [position for position, end in enumerate(ends) if not end]
    heads.keep(kept)
    running.points = [running.points[position] for position in kept]
    job.reporter.log(
        f"split {split}: {sum(ends)} points of the grid were stopped after epoch {epoch}, {len(kept)} go on"
    )


def _epoch(
    job: Job, split: int, heads: HeadBatch, running: Running, seen: Towers, features: Towers, epoch: int
) -> _Epoch:
    everything = settings(job.spec)
    grid = [everything[number] for number in running.points]
    rates = torch.tensor([learning_rate(s.base_lr, job.spec, epoch) for s in grid], device=job.device)
    labels = torch.from_numpy(job.images.labels).to(job.device)
    loss = torch.zeros(len(grid), dtype=torch.float64, device=job.device)
    for batch in epoch_batches(job.splits[split].train, job.spec, split, epoch):
        loss += len(batch) * heads.step(_rows(job, seen, batch), labels[batch], rates)
    val = job.splits[split].val
    logits, val_loss = _scores(job, heads, features, val)
    measured = [measure(job.curve_metrics, one, job.images.labels[val]) for one in logits]
    return _Epoch(
        train_loss=(loss / len(job.splits[split].train)).cpu().numpy(),
        val_loss=val_loss,
        val={name: np.array([values[name] for values in measured]) for name in job.curve_metrics},
        logits=logits,
    )


def _scores(
    job: Job, heads: HeadBatch, features: Towers, indices: Indices
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """(g, n, classes) logits and (g,) mean cross-entropies."""
    labels = torch.from_numpy(job.images.labels).to(job.device)
    logits, loss = [], torch.zeros(len(heads.weight), dtype=torch.float64, device=job.device)
    for batch in in_batches(indices, SCORE_BATCH):
        rows = _rows(job, features, batch)
        logits.append(heads.logits(rows))
        loss += len(batch) * heads.losses(rows, labels[batch])
    return torch.cat(logits, 1).cpu().numpy(), (loss / len(indices)).cpu().numpy()


def _report(job: Job, epoch: int, results: list[_Epoch]) -> None:
    """Curves of the head that leads on val so far, averaged over splits; the grid itself is in the result."""
    leads = [choose(list(result.val[job.metric])) for result in results]
    pairs = list(zip(results, leads, strict=True))
    values = {
        "train_loss": float(np.mean([result.train_loss[lead] for result, lead in pairs])),
        "val_loss": float(np.mean([result.val_loss[lead] for result, lead in pairs])),
    }
    for name in job.curve_metrics:
        values[f"val_{name}"] = float(np.mean([result.val[name][lead] for result, lead in pairs]))
    for split, (result, lead) in enumerate(pairs[:CURVES_OF_SPLITS] if len(pairs) > 1 else ()):
        values[f"val_{job.metric}/split{split}"] = float(result.val[job.metric][lead])
    job.reporter.metrics(epoch + 1, values, epoch=epoch + 1)
    job.reporter.progress(epoch + 1, job.spec.epochs, "epochs", phase="linear classifiers")


def _outcome(job: Job, split: int, heads: HeadBatch, running: Running, features: Towers) -> Outcome:
    """The metrics after the last epoch; test counts only where there is one."""
    parts = job.splits[split]
    val, _ = _scores(job, heads, features, parts.val)
    test = _scores(job, heads, features, parts.test)[0] if len(parts.test) else None
    found = dict(running.stopped)
    for position, number in enumerate(running.points):
        setting = settings(job.spec)[number]
        found[number] = job.point(split, setting, val[position], None if test is None else test[position])
    points = [point for _, point in sorted(found.items())]
    chosen = running.points.index(choose_point(points))
    logits = torch.from_numpy((val if test is None else test)[chosen])
    return Outcome(points, torch.softmax(logits, -1).numpy())
