"""The median rule: trainings of the grid that fall behind the others are not carried to the end (an option; ours)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from vise_core.specs.evaluate import MedianStopping
from vise_core.specs.evaluation.results import GridPoint


def falls_behind(rule: MedianStopping | None, epoch: int, value: float, others: Sequence[float]) -> bool:
    """Whether a point with this val metric after ``epoch`` finished epochs is stopped.

    ``others`` are what the points that it is compared with had on val after the same epoch; what is not finite is of
    a training that diverged, and takes no part in the median.
    """
    defined = [other for other in others if math.isfinite(other)]
    if rule is None or epoch not in rule.epochs or len(defined) < rule.fewest:
        return False
    return not value >= median(defined)


@dataclass
class Running:
    """A split's grid while it is trained side by side.

    Attributes
    ----------
    points: numbers of the points that are still trained, in grid order.
    stopped: number → what became of the others.
    """

    points: list[int]
    stopped: dict[int, GridPoint] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """JSON that ``from_facts`` takes."""
        stopped = {str(number): point.model_dump(mode="json") for number, point in self.stopped.items()}
        return {"points": self.points, "stopped": stopped}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Running:
        stopped = {int(number): GridPoint.model_validate(p) for number, p in facts["stopped"].items()}
        return cls(list(facts["points"]), stopped)
