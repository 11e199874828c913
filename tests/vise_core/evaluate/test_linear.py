"""All splits and grid points at once against one head after the other, as torch's own optimiser trains it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from vise_core.evaluate.grid import learning_rate
from vise_core.evaluate.grid import settings as grid_of
from vise_core.evaluate.job import Job
from vise_core.evaluate.linear import linear
from vise_core.evaluate.loading import epoch_batches
from vise_core.models.heads import linear_head
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.tasks import LabelledImages, Split
from vise_core.training.state import SavedState

DIM, CLASSES = 7, 3


@dataclass(frozen=True)
class Given:
    """Features where a text tower's would come in; no image is read."""

    features: np.ndarray
    encoder = SimpleNamespace(dim=DIM)

    def embed(self, path: Path, _device: torch.device, _between: object) -> None:
        np.save(path, self.features)


def job_on(
    features: np.ndarray, labels: np.ndarray, splits: list[Split], spec: EvaluateSpec, folder: Path
) -> Job:
    reporter = LocalReporter(folder / "artifacts")
    names = tuple(folder / f"{i}.png" for i in range(len(labels)))
    images = LabelledImages("random", folder, names, labels, ("a", "b", "c"))
    state, texts, cpu = SavedState(folder, reporter), Given(features), torch.device("cpu")
    return Job(spec, images, splits, None, texts, 0, cpu, folder, reporter, state, None, ())  # type: ignore[arg-type]


def alone(job: Job, features: np.ndarray, split: int, point: int) -> tuple[list[float], np.ndarray]:
    """The training losses of the epochs and the test probabilities of one head, by autograd and torch.optim."""
    spec, setting = job.spec, grid_of(job.spec)[point]
    head = linear_head(DIM, CLASSES, spec.bias_prior, seed=spec.seed * 1009 + split)
    if spec.optimizer == "sgd":
        options = {"momentum": spec.momentum, "weight_decay": setting.weight_decay}
        optimizer: torch.optim.Optimizer = torch.optim.SGD(head.parameters(), 0.0, **options)
    else:
        optimizer = torch.optim.AdamW(head.parameters(), 0.0, weight_decay=setting.weight_decay)
    x, y = torch.from_numpy(features), torch.from_numpy(job.images.labels)
    losses = []
    for epoch in range(spec.epochs):
        optimizer.param_groups[0]["lr"] = learning_rate(setting.base_lr, spec, epoch)
        total = 0.0
        for batch in epoch_batches(job.splits[split].train, spec, split, epoch):
            optimizer.zero_grad()
            loss = cross_entropy(head(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            total += len(batch) * loss.item()
        losses.append(total / len(job.splits[split].train))
    return losses, torch.softmax(head(x[job.splits[split].test]), -1).detach().numpy()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    train=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    batch=st.integers(1, 50),
    block=st.sampled_from([1, 2**28]),
    combinations=st.booleans(),
)
@pytest.mark.slow
def test_heads_of_splits_of_any_size_end_where_each_would_alone(
    optimizer, seed, train, batch, block, combinations
) -> None:
    rng = np.random.default_rng(seed)
    # Rows of zeros and rows that are there twice are part of it.
    features = rng.normal(size=(60, DIM)).astype(np.float32)
    features[:5], features[5:10] = 0, features[10:15]
    labels = rng.integers(0, CLASSES, 60)
    splits = []
    for size in train:
        order = rng.permutation(60)
        splits.append(Split(order[:size], order[40:50], order[50:]))
    spec = EvaluateSpec.model_validate(
        {
            "optimizer": optimizer,
            "augment": False,
            "batch": batch,
            "epochs": 3,
            "milestones": [2],
            "base_lrs": [2.0, 0.1],
            "weight_decays": [0.01, 0.0],
            "seed": seed,
        }
    )
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "STEP_BYTES", block)
        patch.setattr(linear, "gram_pays", lambda *_: combinations)
        job = job_on(features, labels, splits, spec, Path(temporary))
        curves: list[dict[int, np.ndarray]] = []
        patch.setattr(
            linear,
            "report_epoch",
            lambda _job, _epoch, results: curves.append([r.train_loss for r in results]),
        )
        outcomes, _ = linear.evaluate_linear(job)
    for split, outcome in enumerate(outcomes):
        found = [alone(job, features, split, point) for point in range(4)]
        for point, (losses, _) in enumerate(found):
            together = [float(epoch[split][point]) for epoch in curves]
            np.testing.assert_allclose(together, losses, rtol=1e-4, atol=1e-5)
        assert any(np.allclose(outcome.scores, scores, rtol=1e-3, atol=1e-4) for _, scores in found)
        # Where two scores all but tie, rounding may decide which is the highest: 1 of 10 images is 10 points.
        for point, (_, scores) in zip(outcome.points, found, strict=True):
            best = np.sort(scores, 1)
            close = 10 * float((best[:, -1] - best[:, -2] < 1e-4).sum())
            right = 100 * float((scores.argmax(1) == labels[splits[split].test]).mean())
            assert abs(point.test - right) <= close + 1e-6
