"""Early stopping by the median rule (Golovin et al. 2017): an option of ours, off as in the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from vise_core.specs.evaluate import MedianStopping
from vise_core.specs.evaluation.results import GridPoint


def falls_behind(rule: MedianStopping | None, epoch: int, value: float, others: Sequence[float]) -> bool:
    """Return whether a point with val metric ``value`` after ``epoch`` finished epochs is stopped.

    ``others`` are the val metrics of the points to compare with, after the same epoch. Metrics that are not finite, of
    trainings that diverged, are left out of the median.
    """
    defined = [other for other in others if math.isfinite(other)]
    if rule is None or epoch not in rule.epochs or len(defined) < rule.fewest:
        return False
    return not value >= median(defined)


@dataclass
class Running:
    """A split's grid while all of its points are trained together.

    Attributes
    ----------
    points: numbers of the points that are still trained, in grid order.
    stopped: number → result of each point that early stopping ended or that diverged.
    """

    points: list[int]
    stopped: dict[int, GridPoint] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return the grid's state as JSON, for ``from_facts``."""
        stopped = {str(number): point.model_dump(mode="json") for number, point in self.stopped.items()}
        return {"points": self.points, "stopped": stopped}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Running:
        """Return the state that ``facts`` was made of."""
        stopped = {int(number): GridPoint.model_validate(p) for number, p in facts["stopped"].items()}
        return cls(list(facts["points"]), stopped)
