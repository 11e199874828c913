"""The grid over learning rate and weight decay, the choice on val, sensitivity, and numbers over splits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from vise_core.errors import Diverged
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.results import GridEnd, GridParameter, GridPoint, SplitResult
from vise_core.training.schedule import milestones_passed, scaled_rate


class Setting(NamedTuple):
    """Hyper-parameters of one training."""

    base_lr: float
    weight_decay: float


def settings(spec: EvaluateSpec) -> list[Setting]:
    """Return the grid in its order: learning rates as listed, for each all weight decays as listed."""
    return [Setting(*pair) for pair in product(spec.base_lrs, spec.weight_decays)]


def learning_rate(base_lr: float, spec: EvaluateSpec, epoch: int) -> float:
    """Return base_lr / 256 × batch, times gamma for every milestone reached (App. C.3); epochs count from 0."""
    return scaled_rate(base_lr, spec.batch) * spec.gamma ** milestones_passed(spec.milestones, epoch)


def choose(values: Sequence[float | None]) -> int:
    """Return the index of the best val metric; of equal ones the first in grid order (ours: the paper is silent).

    Values that are None or not finite are never chosen. Raises Diverged where no other value is left.
    """
    defined = [(value, -i) for i, value in enumerate(values) if value is not None and np.isfinite(value)]
    if not defined:
        raise Diverged("no point of the grid has a finite val metric; training diverged: lower base_lrs")
    return -max(defined)[1]


def choose_point(points: Sequence[GridPoint]) -> int:
    """Return the index of the point that val chooses among those trained to the end, or among all where none was.

    Raises Diverged where every point diverged.
    """
    finished = [i for i, point in enumerate(points) if point.finished]
    candidates = finished or list(range(len(points)))
    return candidates[choose([points[i].val for i in candidates])]


def require_finished(split: int, points: Sequence[GridPoint]) -> None:
    """Raise Diverged unless a training of the split reached its last epoch with finite numbers."""
    if any(point.finished for point in points):
        return
    rates = ", ".join(f"{rate:g}" for rate in dict.fromkeys(point.base_lr for point in points))
    diverged = [point for point in points if point.diverged]
    first = min((point.diverged_at_epoch or 0 for point in diverged), default=0)
    others = "" if len(diverged) == len(points) else ", and early stopping had ended the others"
    raise Diverged(
        f"split {split}: {len(diverged)} of {len(points)} trainings diverged{others}; no point of the grid is left to "
        f"choose. Learning rates tried: base_lrs {rates}; the loss is not finite from epoch {first} on. Lower base_lrs"
    )


def diverged_point(setting: Setting, epoch: int) -> GridPoint:
    """Return the grid point of a training that was not finite after ``epoch`` finished epochs."""
    return GridPoint(
        base_lr=setting.base_lr,
        weight_decay=setting.weight_decay,
        val=None,
        test=None,
        diverged_at_epoch=epoch,
    )


def split_result(
    split: int, points: Sequence[GridPoint], sizes: tuple[int, int, int], parts: tuple[str, str, str]
) -> SplitResult:
    """Return the result of a split: its grid, the point that val chose, and the sensitivity around it (App. C.3).

    S_lr runs over the learning rates at the chosen weight decay, S_wd over the weight decays at the chosen
    learning rate. Both are the population std (ddof 0) of the val metric (ours: the paper does not say which). A
    sensitivity is None where it would need a point that was stopped early or diverged.
    Raises Diverged where no point can be chosen.
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
        parts=parts,
        edges=grid_edges(points, chosen),
    )


def grid_edges(points: Sequence[GridPoint], chosen: GridPoint) -> dict[GridParameter, GridEnd]:
    """Return the parameters whose chosen value is the lowest or highest of at least two in the grid."""
    edges: dict[GridParameter, GridEnd] = {}
    names: tuple[GridParameter, ...] = ("base_lr", "weight_decay")
    for name in names:
        values, value = {getattr(point, name) for point in points}, getattr(chosen, name)
        if len(values) > 1 and value in (min(values), max(values)):
            edges[name] = "lowest" if value == min(values) else "highest"
    return edges


def _spread(points: Sequence[GridPoint]) -> float | None:
    """Return the population std of val, None where a point was stopped early or diverged."""
    values = [point.val for point in points if point.val is not None and point.stopped_at_epoch is None]
    return float(np.std(values)) if len(values) == len(points) else None


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and sample std (ddof 1; method 7, trap 5); None as std of a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
