"""Split a task's images into train, val and test: at random with a seed, or as published."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vise_core.errors import BadInput
from vise_core.specs.tasks.catalogue import task_metric
from vise_core.specs.tasks.kinds import Task
from vise_core.specs.tasks.splits import SplitName, SplitSpec

from .records import LabelledImages

Indices = npt.NDArray[np.int64]


class Split(NamedTuple):
    """Disjoint indices into a task's images; ``test`` is empty where the task has no test labels."""

    train: Indices
    val: Indices
    test: Indices

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of images in train, val and test."""
        return len(self.train), len(self.val), len(self.test)


def random_splits(n: int, spec: SplitSpec) -> list[Split]:
    """Return ``spec.count`` independent random splits of n images (Sec. 4.3, Table 8: five of 70/10/20).

    Sizes are floor(train·n), floor(val·n) and the rest: 3,045 gives 2,131 / 304 / 610. Split i depends on the seed, n
    and i only, so a larger count keeps the first splits. Classes are ignored. Raises BadInput where a part would be
    empty.
    """
    train, val = _sizes(n, spec)
    return [
        Split(*(part.copy() for part in np.split(_permutation(n, spec.seed, i), [train, train + val])))
        for i in range(spec.count)
    ]


def stratified_splits(labels: Indices, spec: SplitSpec) -> list[Split]:
    """Return ``spec.count`` random splits with the same share of each class in every part.

    Parts have the sizes of ``random_splits``; images left by rounding go to the classes with the largest remainders.
    A class of three images or more is in every part, even where a part grows by one for it; of two images one is in
    train and one in test, and a single image is in train. Split i depends on the labels, the seed and i only. Raises
    BadInput where a part would be empty.
    """
    n = len(labels)
    train, val = _sizes(n, spec)
    counts = np.bincount(labels)
    of_train = _shares(counts, spec.train, train, counts)
    of_val = _shares(counts, spec.val, val, counts - of_train)
    part_sizes = np.array([_present(*sizes) for sizes in zip(counts, of_train, of_val, strict=True)])
    splits = []
    for i in range(spec.count):
        order = _permutation(n, spec.seed, i)
        rank = _rank_in_class(labels[order])
        ends = part_sizes[labels[order]]
        part = (rank >= ends[:, 0]).astype(np.int64) + (rank >= ends[:, 0] + ends[:, 1])
        splits.append(Split(*(order[part == number] for number in range(3))))
    if min(splits[0].sizes) < 1:
        raise BadInput(
            f"{n} images of {int((counts > 0).sum())} classes are too few to be split by class: "
            f"{' / '.join(map(str, splits[0].sizes))}; set splits.stratify to false, or add images"
        )
    return splits


def task_splits(images: LabelledImages, spec: SplitSpec) -> list[Split]:
    """Return the splits on which a task is evaluated.

    A published split is used once, as it is. Published without val (as Politics): the share ``spec.val`` of its train
    images, drawn at random ``spec.count`` times, becomes val, by class if ``spec.stratify`` is set. Without a
    published split: ``stratified_splits`` or ``random_splits``. Raises BadInput if train is missing or a part would
    be empty.
    """
    if images.published is None:
        return stratified_splits(images.labels, spec) if spec.stratify else random_splits(len(images), spec)
    train, val, test = (_named(images, name) for name in ("train", "val", "test"))
    if not len(train):
        raise BadInput(f"task {images.name}: the published split has no train images")
    if len(val):
        return [Split(train, val, test)]
    if not len(test):
        raise BadInput(f"task {images.name}: the published split has neither val nor test images")
    held = floor(Fraction(str(spec.val)) * len(train))
    if not 0 < held < len(train):
        raise BadInput(f"task {images.name}: {len(train)} train images are too few to hold out val")
    orders = [train[_permutation(len(train), spec.seed, i)] for i in range(spec.count)]
    if not spec.stratify:
        return [Split(order[held:], order[:held], test) for order in orders]
    counts = np.bincount(images.labels[train])
    of_val = _shares(counts, spec.val, held, np.maximum(counts - 1, 0))
    of_val = np.where((counts >= 3) & (of_val == 0), 1, of_val)
    held_out = [_rank_in_class(images.labels[order]) < of_val[images.labels[order]] for order in orders]
    return [Split(order[~val], order[val], test) for order, val in zip(orders, held_out, strict=True)]


def require_measurable(spec: Task, images: LabelledImages, splits: Sequence[Split]) -> None:
    """Raise BadInput if the task's metric is undefined on val or test of a split (ROC AUC of one class)."""
    if task_metric(spec) != "roc_auc":
        return
    for number, split in enumerate(splits):
        for part, indices in (("val", split.val), ("test", split.test)):
            absent = set(range(len(images.classes))) - set(images.labels[indices].tolist())
            if len(indices) and absent:
                names = ", ".join(images.classes[c] for c in sorted(absent))
                raise BadInput(
                    f"task {images.name}, split {number}: {part} has no image of {names}, so ROC AUC is not defined "
                    "there; use another split, or a task with the metric accuracy"
                )


def _sizes(n: int, spec: SplitSpec) -> tuple[int, int]:
    """Return (number of train images, number of val images). Raises BadInput where a part would be empty."""
    # Decimal shares as fractions: 0.29 · 100 is 29, not the 28 of binary floats.
    train, val = (floor(Fraction(str(share)) * n) for share in (spec.train, spec.val))
    if min(train, val, n - train - val) < 1:
        raise BadInput(
            f"{n} images are too few for shares {spec.train} / {spec.val} / rest: {train} / {val} / {n - train - val}"
        )
    return train, val


def _shares(counts: Indices, share: float, total: int, capacity: Indices) -> Indices:
    """Return the number of images per class, (classes,), in a part of ``total``, by the largest-remainder method.

    Ties go to the first class; no class gets more than its ``room``.
    """
    exact = [Fraction(str(share)) * int(count) for count in counts]
    shares = np.minimum([floor(value) for value in exact], capacity)
    by_remainder = sorted(range(len(exact)), key=lambda c: (int(shares[c]) - exact[c], c))
    for c in by_remainder * 2:
        if shares.sum() >= total:
            break
        shares[c] += int(shares[c] < capacity[c])
    return shares.astype(np.int64)


def _present(count: int, train: int, val: int) -> tuple[int, int]:
    """Return the minimum (train, val) of a class of ``count`` images, so that it is in as many parts as possible."""
    if count <= 2:
        return min(count, 1), 0
    sizes = [train, val, count - train - val]
    while 0 in sizes:
        sizes[sizes.index(max(sizes))] -= 1
        sizes[sizes.index(0)] += 1
    return sizes[0], sizes[1]


def _rank_in_class(labels: Indices) -> Indices:
    """Return for each image, (n,), how many earlier images have the same class."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    ranks = np.empty(len(labels), np.int64)
    ranks[order] = np.arange(len(labels)) - starts
    return ranks


def _permutation(n: int, seed: int, split: int) -> Indices:
    return np.random.Generator(np.random.PCG64([seed, split])).permutation(n).astype(np.int64)


def _named(images: LabelledImages, name: SplitName) -> Indices:
    assert images.published is not None
    return np.flatnonzero(np.array(images.published) == name).astype(np.int64)
