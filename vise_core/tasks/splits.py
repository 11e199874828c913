"""Which images train, choose and report: at random with a seed, or as published."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vise_core.errors import BadInput
from vise_core.specs.tasks import SplitName, SplitSpec, Task, task_metric

from .records import LabelledImages

Indices = npt.NDArray[np.int64]


class Split(NamedTuple):
    """Disjoint indices into a task's images; ``test`` is empty where the task has no test labels."""

    train: Indices
    val: Indices
    test: Indices

    @property
    def sizes(self) -> tuple[int, int, int]:
        return len(self.train), len(self.val), len(self.test)


def random_splits(n: int, spec: SplitSpec) -> list[Split]:
    """``spec.count`` independent random splits of n images (Sec. 4.3, Table 8: five of 70/10/20).

    Sizes are floor(train·n), floor(val·n) and the rest: 3,045 gives 2,131 / 304 / 610. Split i depends on the
    seed, n and i only, so asking for more splits keeps the first ones.
    Raises BadInput where one of the three would be empty.
    """
    # Decimal shares as fractions: 0.29 · 100 is 29, not the 28 of binary floats.
    train, val = (floor(Fraction(str(share)) * n) for share in (spec.train, spec.val))
    if min(train, val, n - train - val) < 1:
        raise BadInput(
            f"{n} images are too few for shares {spec.train} / {spec.val} / rest: {train} / {val} / {n - train - val}"
        )
    return [
        Split(*(part.copy() for part in np.split(_permutation(n, spec.seed, i), [train, train + val])))
        for i in range(spec.count)
    ]


def task_splits(images: LabelledImages, spec: SplitSpec) -> list[Split]:
    """The splits that a task is judged on.

    A published split is used as it is, once. Published without val (as Politics): the share ``spec.val`` of its
    train images, drawn at random ``spec.count`` times, becomes val. Without a published split: ``random_splits``.
    Raises BadInput where train is missing or a part would be empty.
    """
    if images.published is None:
        return random_splits(len(images), spec)
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
    return [Split(order[held:], order[:held], test) for order in orders]


def require_measurable(spec: Task, images: LabelledImages, splits: Sequence[Split]) -> None:
    """Raises BadInput where the task's metric has no value on val or test of a split: ROC AUC without a class."""
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


def _permutation(n: int, seed: int, split: int) -> Indices:
    return np.random.Generator(np.random.PCG64([seed, split])).permutation(n).astype(np.int64)


def _named(images: LabelledImages, name: SplitName) -> Indices:
    assert images.published is not None
    return np.flatnonzero(np.array(images.published) == name).astype(np.int64)
