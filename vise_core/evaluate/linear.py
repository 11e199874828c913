"""The linear protocol: a classifier on the pooled features of a frozen backbone (Sec. 4.2).

All splits and all points of the grid go through the epochs together. An image is augmented, decoded and sent
through the backbone once an epoch, whatever the number of splits and grid points; the draw depends on
(seed, epoch, image) only. Each head ends where training it alone on these images would end.
Without augmentation every epoch reuses the features of the evaluation crop (reported as "cached").
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from vise_core.models.classifier import ImageClassifier

from .features import Features, write_features
from .grid import choose, learning_rate, settings
from .heads import HeadBatch
from .job import Job, Outcome
from .loading import Look, as_tensor, augmented_look, epoch_batches, in_batches, plain_look
from .metrics import measure

SCORE_BATCH = 4096
CURVES_OF_SPLITS = 10
"""Splits that get a curve of their own; more would drown the rest."""


class _Epoch(NamedTuple):
    """Numbers of one split after an epoch, each (g,): one for each head."""

    train_loss: npt.NDArray[np.float64]
    val_loss: npt.NDArray[np.float64]
    val: dict[str, npt.NDArray[np.float64]]
    """By metric."""


def evaluate_linear(job: Job) -> tuple[list[Outcome], ImageClassifier]:
    """Every split's grid, and split 0's chosen classifier. Raises Stopped with the state saved."""
    backbone = job.backbone.to(job.device).eval().requires_grad_(False)
    heads = _new_heads(job)
    features = _plain_features(job)
    _train(job, heads, features)
    outcomes = [_outcome(job, split, heads[split], features) for split in range(len(job.splits))]
    chosen = choose([point.val for point in outcomes[0].points])
    classifier = job.new_classifier(backbone, 0)
    with torch.no_grad():
        classifier.head.weight.copy_(heads[0].weight[chosen])
        classifier.head.bias.copy_(heads[0].bias[chosen])
    return outcomes, classifier


def _new_heads(job: Job) -> list[HeadBatch]:
    decays = [setting.weight_decay for setting in settings(job.spec)]
    return [
        HeadBatch(
            job.new_classifier(job.backbone, split).head.to(job.device),
            decays,
            job.spec.optimizer,
            job.spec.momentum,
        )
        for split in range(len(job.splits))
    ]


def _plain_features(job: Job) -> Features:
    """Features of the evaluation crop of every image: computed once and kept in the state."""
    kept = job.state.file("features.npy")
    if job.state.facts:
        return np.load(kept, mmap_mode="r")
    classifier = job.new_classifier(job.backbone, 0)
    look = plain_look(classifier.image_size, classifier.resize, classifier.mean, classifier.std)
    path = job.workspace / "features.npy"
    _extract(job, np.arange(len(job.images)), look, path, "features")
    job.state.save({"epoch": 0}, moved={"features.npy": path})
    return np.load(kept, mmap_mode="r")


def _augmented_features(job: Job, epoch: int, needed: npt.NDArray[np.int64]) -> Features:
    classifier = job.new_classifier(job.backbone, 0)
    look = augmented_look(classifier.image_size, classifier.mean, classifier.std, job.spec.seed, epoch)
    return _extract(job, needed, look, job.workspace / "augmented.npy", f"epoch {epoch + 1}")


def _extract(job: Job, indices: npt.NDArray[np.int64], look: Look, path: Path, phase: str) -> Features:
    def between(done: int) -> None:
        job.reporter.progress(done, len(indices), "images", phase=phase)
        job.state.raise_if_stopped()

    return write_features(
        job.backbone, job.images, indices, look, path, job.spec.compute, job.device, between=between
    )


def _train(job: Job, heads: list[HeadBatch], features: Features) -> None:
    first = int(job.state.facts["epoch"])
    if first:
        for split, batch in enumerate(heads):
            batch.load_state(job.state.tensors(f"heads-{split}"))
    needed = np.unique(np.concatenate([split.train for split in job.splits]))
    for epoch in range(first, job.spec.epochs):
        if job.reporter.should_stop():
            _save(job, heads, epoch)
            job.state.raise_if_stopped()
        seen = _augmented_features(job, epoch, needed) if job.spec.augment else features
        results = [_epoch(job, split, heads[split], seen, features, epoch) for split in range(len(heads))]
        _report(job, epoch, results)
        if job.state.due():
            _save(job, heads, epoch + 1)
    _save(job, heads, job.spec.epochs)
    (job.workspace / "augmented.npy").unlink(missing_ok=True)


def _save(job: Job, heads: list[HeadBatch], epoch: int) -> None:
    job.state.save(
        {"epoch": epoch}, tensors={f"heads-{split}": batch.state() for split, batch in enumerate(heads)}
    )


def _epoch(job: Job, split: int, heads: HeadBatch, seen: Features, features: Features, epoch: int) -> _Epoch:
    grid = settings(job.spec)
    rates = torch.tensor([learning_rate(s.base_lr, job.spec, epoch) for s in grid], device=job.device)
    labels = torch.from_numpy(job.images.labels).to(job.device)
    loss = torch.zeros(len(grid), dtype=torch.float64, device=job.device)
    for batch in epoch_batches(job.splits[split].train, job.spec, split, epoch):
        loss += len(batch) * heads.step(as_tensor(seen[batch], job.device), labels[batch], rates)
    val = job.splits[split].val
    logits, val_loss = _scores(job, heads, features, val)
    measured = [measure(job.curve_metrics, one, job.images.labels[val]) for one in logits]
    return _Epoch(
        train_loss=(loss / len(job.splits[split].train)).cpu().numpy(),
        val_loss=val_loss,
        val={name: np.array([values[name] for values in measured]) for name in job.curve_metrics},
    )


def _scores(
    job: Job, heads: HeadBatch, features: Features, indices: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """(g, n, classes) logits and (g,) mean cross-entropies."""
    labels = torch.from_numpy(job.images.labels).to(job.device)
    logits, loss = [], torch.zeros(len(heads.weight), dtype=torch.float64, device=job.device)
    for batch in in_batches(indices, SCORE_BATCH):
        rows = as_tensor(features[batch], job.device)
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


def _outcome(job: Job, split: int, heads: HeadBatch, features: Features) -> Outcome:
    """The metrics after the last epoch; test counts only where there is one."""
    parts = job.splits[split]
    val, _ = _scores(job, heads, features, parts.val)
    test = _scores(job, heads, features, parts.test)[0] if len(parts.test) else None
    points = [
        job.point(split, setting, val[j], None if test is None else test[j])
        for j, setting in enumerate(settings(job.spec))
    ]
    chosen = choose([point.val for point in points])
    logits = torch.from_numpy((val if test is None else test)[chosen])
    return Outcome(points, torch.softmax(logits, -1).numpy())
