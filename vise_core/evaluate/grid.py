"""The grid over learning rate and weight decay, the choice on val, sensitivity, and numbers over splits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from vise_core.specs.evaluate import EvaluateSpec, GridPoint, SplitResult


class Setting(NamedTuple):
    """Hyper-parameters of one training."""

    base_lr: float
    weight_decay: float


def settings(spec: EvaluateSpec) -> list[Setting]:
    """The grid in its order: learning rates as listed, for each all weight decays as listed."""
    return [Setting(*pair) for pair in product(spec.base_lrs, spec.weight_decays)]


def learning_rate(base_lr: float, spec: EvaluateSpec, epoch: int) -> float:
    """``base / 256 · batch`` (App. C.3), times gamma for every milestone reached; epochs count from 0."""
    return base_lr / 256 * spec.batch * spec.gamma ** sum(epoch >= milestone for milestone in spec.milestones)


def choose(values: Sequence[float]) -> int:
    """Index of the best val metric; of equal ones the first in grid order (ours: the paper is silent).

    Only val enters: test never has a say.
    """
    return int(np.argmax(np.asarray(values)))


def choose_point(points: Sequence[GridPoint]) -> int:
    """Index of the point that val chooses among those trained to the end; among all where none was."""
    finished = [i for i, point in enumerate(points) if point.stopped_at_epoch is None]
    candidates = finished or list(range(len(points)))
    return candidates[choose([points[i].val for i in candidates])]


def split_result(split: int, points: Sequence[GridPoint], sizes: tuple[int, int, int]) -> SplitResult:
    """One split: its grid, the point that val chose, and the sensitivity around it (App. C.3).

    S_lr runs over the learning rates at the chosen weight decay, S_wd over the weight decays at the chosen
    learning rate. Both are population std (ddof 0) of the val metric: the paper does not say; ours. A point that
    was stopped early is at no comparable place: what would need it is None.
    """
    chosen = points[choose_point(points)]
    over_lr = [point for point in points if point.weight_decay == chosen.weight_decay]
    over_wd = [point for point in points if point.base_lr == chosen.base_lr]
    return SplitResult(
        split=split,
        chosen=chosen,
        grid=tuple(points),
        s_lr=_spread(over_lr),
        s_wd=_spread(over_wd),
        sizes=sizes,
    )


def _spread(points: Sequence[GridPoint]) -> float | None:
    if any(point.stopped_at_epoch is not None for point in points):
        return None
    return float(np.std([point.val for point in points]))


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample std (ddof 1; method 7, trap 5); no std for a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
