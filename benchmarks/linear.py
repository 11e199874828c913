"""Time of a grid of linear classifiers on cached features, beside training them one after the other.

    python -m benchmarks.linear [--images 3045] [--features 2048] [--classes 6] [--splits 5] [--epochs 100] [--threads 1]

The size is UnbiasedEmotion's under a ResNet-50, and the protocol is the product's own: its splits, grid and epochs.
The peer is that of torch's tutorials: nn.Linear, torch.optim.SGD, a DataLoader over a TensorDataset of the cached
features, evaluation on val after each epoch as in ours. Its batches have our order (a batch sampler that is drawn
beforehand, at no cost), so that results can be compared; heads start with equal weights. Ours is the linear protocol of
the product, including its saved state. Features are synthetic.
Exits with 1 where ours is not 20 times as fast, another point is chosen, or a metric is 0.1 points off.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from vise_core.evaluate.grid import choose_point, learning_rate, settings
from vise_core.evaluate.job import Job, Outcome
from vise_core.evaluate.linear.linear import evaluate_linear
from vise_core.evaluate.loading import epoch_batches
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks import LabelledImages
from vise_core.tasks.splits import random_splits
from vise_core.training.state import SavedState

from .measures.rows import Row, parser_of, verdict

FACTOR, POINTS = 20.0, 0.1
Results = dict[tuple[int, int], tuple[float, float]]
"""(split, point of the grid) → (val, test) accuracy, percent."""


@dataclass(frozen=True)
class CachedFeatures:
    """Precomputed features, (images, dim) float32, in the place of a text tower's embeddings."""

    values: npt.NDArray[np.float32]

    @property
    def encoder(self) -> SimpleNamespace:
        return SimpleNamespace(dim=self.values.shape[1])

    def embed(self, path: Path, _device: torch.device, _between: object) -> None:
        np.save(path, self.values)


def synthetic(
    images: int, dim: int, classes: int, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return non-negative features (images, dim), as after ReLU and pooling, and labels of overlapping classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    centres = rng.normal(0, 0.12, (classes, dim))
    values = np.maximum(rng.normal(0.2, 1, (images, dim)) + centres[labels], 0) * 0.5
    return values.astype(np.float32), labels


def prepare(options: argparse.Namespace, spec: EvaluateSpec, folder: Path) -> Job:
    """Return the evaluation job on synthetic features."""
    values, labels = synthetic(options.images, options.features, options.classes, options.seed)
    names = tuple(folder / f"{i}.jpg" for i in range(options.images))
    classes = tuple(f"class-{c}" for c in range(options.classes))
    images = LabelledImages("synthetic", folder, names, labels, classes, synthetic=True)
    reporter = LocalReporter(folder / "artifacts")
    return Job(
        spec=spec,
        images=images,
        splits=random_splits(options.images, spec.splits),
        backbone=None,
        texts=CachedFeatures(values),  # type: ignore[arg-type]
        image_size=0,
        device=torch.device("cpu"),
        workspace=folder,
        reporter=reporter,
        state=SavedState(folder, reporter),
        cache=None,
        digests=(),
    )


def accuracy(head: nn.Linear, rows: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return 100 * float((head(rows).argmax(1) == labels).double().mean())


def batches_of(x: Tensor, y: Tensor, order: list[list[int]], loader: bool) -> Iterator[tuple[Tensor, Tensor]]:
    if loader:
        yield from DataLoader(TensorDataset(x, y), batch_sampler=order)
    else:
        for batch in order:
            yield x[batch], y[batch]


def one_by_one(
    job: Job, x: Tensor, y: Tensor, heads: list[tuple[int, int]], *, loader: bool
) -> tuple[Results, float]:
    """Train heads (split, point of the grid) in turn; return their accuracies and the seconds of training."""
    spec, grid, results, seconds = job.spec, settings(job.spec), {}, 0.0
    for split, point in heads:
        parts = job.splits[split]
        # The order is drawn before the clock starts.
        orders = [
            [b.tolist() for b in epoch_batches(parts.train, spec, split, e)] for e in range(spec.epochs)
        ]
        clock = time.perf_counter()
        head = job.new_head(split)
        optimizer = torch.optim.SGD(
            head.parameters(), lr=0.0, momentum=spec.momentum, weight_decay=grid[point].weight_decay
        )
        val = 0.0
        for epoch, order in enumerate(orders):
            optimizer.param_groups[0]["lr"] = learning_rate(grid[point].base_lr, spec, epoch)
            for rows, labels in batches_of(x, y, order, loader):
                optimizer.zero_grad()
                cross_entropy(head(rows), labels).backward()
                optimizer.step()
            val = accuracy(head, x[parts.val], y[parts.val])
        results[split, point] = val, accuracy(head, x[parts.test], y[parts.test])
        seconds += time.perf_counter() - clock
    return results, seconds


def ours(job: Job) -> tuple[list[Outcome], float]:
    """Evaluate all heads at once; return the outcomes and the seconds."""
    clock = time.perf_counter()
    outcomes, _ = evaluate_linear(job)
    return outcomes, time.perf_counter() - clock


def parser() -> argparse.ArgumentParser:
    parser = parser_of(
        __doc__, images=3045, features=2048, classes=6, splits=5, epochs=EvaluateSpec().epochs, seed=0
    )
    parser.add_argument("--threads", type=int, help="Threads of both sides. Without: torch's default.")
    parser.add_argument(
        "--peer-splits", type=int, help="Splits that the peer trains; its time is extrapolated to all."
    )
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print the table and return the rows: all heads at once beside one after the other."""
    spec = EvaluateSpec(
        augment=False,
        epochs=options.epochs,
        milestones=(options.epochs * 3 // 5, options.epochs * 4 // 5),
        splits=SplitSpec(count=options.splits),
        seed=options.seed,
    )
    points = len(settings(spec))
    if options.threads:
        torch.set_num_threads(options.threads)
    print(
        f"{options.images:,} × {options.features:,} synthetic features, {options.classes} classes; grid of {points} × "
        f"{options.splits} splits = {points * options.splits} heads, {spec.epochs} epochs, batch {spec.batch}, "
        f"SGD with momentum {spec.momentum}; torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{platform.machine()}, load {os.getloadavg()[0]:.1f}\n"
        f"One after the other: nn.Linear, torch.optim.SGD(momentum={spec.momentum}, weight_decay of the point), "
        f"DataLoader(TensorDataset, batches of {spec.batch}, num_workers=0), val after each epoch\n",
        flush=True,
    )
    splits = min(options.peer_splits or options.splits, options.splits)
    theirs: Results = {}
    times, turns, rows = list[float](), list[float](), list[float]()
    # Both sides alternate, since the speed of a shared machine varies; ratios are within a turn.
    for split in range(splits):
        with tempfile.TemporaryDirectory() as temporary:
            job = prepare(options, spec, Path(temporary))
            outcomes, seconds = ours(job)
            times.append(seconds)
        x, y = torch.from_numpy(job.texts.values), torch.from_numpy(job.images.labels)  # type: ignore[union-attr]
        results, seconds = one_by_one(job, x, y, [(split, point) for point in range(points)], loader=True)
        theirs |= results
        turns.append(seconds * options.splits)
        _, seconds = one_by_one(job, x, y, [(split, 0)], loader=False)
        rows.append(seconds * points * options.splits)
    fast, slow, bare = (statistics.median(each) for each in (times, turns, rows))
    ratio, bare_ratio = (
        statistics.median(theirs / own for theirs, own in zip(each, times, strict=True))
        for each in (turns, rows)
    )
    print("| | seconds | against ours |\n|---|---|---|")
    each = ", ".join(f"{seconds:.2f}" for seconds in times)
    print(f"| all at once (median of {each}) | {fast:.2f} | |")
    each = ", ".join(f"{seconds:.1f}" for seconds in turns)
    print(
        f"| one after the other, DataLoader ({options.splits} × a split, median of {each}) | {slow:.2f} | {ratio:.1f} × |"
    )
    print(
        f"| one after the other, rows by indexing (one head a split, extrapolated) | {bare:.2f} | {bare_ratio:.1f} × |"
    )
    same, worst = compare(outcomes, theirs, splits)
    print(f"\nChosen points: {'the same' if same else 'NOT the same'} in {splits} splits")
    print(f"Metrics of {len(theirs)} heads on val and test: at most {worst:.3f} points apart (≤ {POINTS})")
    train, val, _ = job.splits[0].sizes
    direct, combined = products(options, train, val, points, spec.epochs)
    rate = matmul_rate()
    print(
        f"Logits and gradients of all steps are {direct / 1e9:.0f} GFLOP on the features, {combined / 1e9:.0f} as "
        f"combinations of the training features with their Gram matrix: {direct / rate:.2f} and {combined / rate:.2f} s "
        f"at the {rate / 1e9:.0f} GFLOP/s of a large product"
    )
    heads_at_once = f"{points * options.splits} linear heads"
    return [
        Row(
            f"{heads_at_once}, {spec.epochs} epochs",
            f"{fast:.2f} s",
            f"nn.Linear + SGD + DataLoader, {slow:.1f} s",
            f"{ratio:.1f} ×",
            f"≥ {FACTOR:g} ×",
            ratio >= FACTOR,
        ),
        Row(
            f"{heads_at_once}, against rows by indexing",
            f"{fast:.2f} s",
            f"{bare:.1f} s",
            f"{bare_ratio:.1f} ×",
        ),
        Row(
            "their chosen points",
            "the same" if same else "not the same",
            needed="the same",
            reached=same,
        ),
        Row("their metrics, points apart", f"{worst:.3f}", needed=f"≤ {POINTS:g}", reached=worst <= POINTS),
    ]


def products(
    options: argparse.Namespace, train: int, val: int, points: int, epochs: int
) -> tuple[float, float]:
    """Return the FLOP of all heads' logits and gradients: on the features, and with the Gram matrix."""
    heads = 2.0 * epochs * points * options.splits
    on_features = heads * options.classes * options.features * (2 * train + val)
    gram = heads * (options.classes - 1) * train * (train + val) + options.images**2 * options.features
    return on_features, gram


@cache
def matmul_rate(size: int = 2048) -> float:
    """Return the FLOP/s of a large float32 matrix product, the best of five."""
    a, times = torch.randn(size, size), []
    for _ in range(5):
        clock = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - clock)
    return 2 * size**3 / min(times)


def compare(outcomes: list[Outcome], theirs: Results, splits: int) -> tuple[bool, float]:
    """Return whether val chooses the same points of the grid, and the largest difference of a metric."""
    worst, same = 0.0, True
    for split in range(splits):
        points = outcomes[split].points
        for i, point in enumerate(points):
            val, test = theirs[split, i]
            worst = max(worst, abs(point.val - val), abs((point.test or 0.0) - test))
        alone = [p.model_copy(update={"val": theirs[split, i][0]}) for i, p in enumerate(points)]
        same &= choose_point(points) == choose_point(alone)
    return same, worst


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
