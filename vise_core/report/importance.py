"""Rank the parameters of runs by their association with a metric: rank correlation and share of variance.

Both measure association in these runs, not causation: parameters that were changed together share it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 4
"""Groups for a number with many values: quarters, so that each group holds several runs."""


class Importance(NamedTuple):
    """Association of a parameter with the metric.

    ``rank_correlation``: Spearman's ρ in [-1, 1]; None where the parameter is no number or has one value.
    ``variance_share``: ε² in [0, 1], the share of the metric's variance between groups of equal value, corrected
    for the number of groups (Kelley 1935); None where every group holds one run.
    """

    path: str
    rank_correlation: float | None
    variance_share: float | None
    runs: int

    @property
    def strength(self) -> float:
        """Return the greater of |ρ| and ε²."""
        return max(abs(self.rank_correlation or 0.0), self.variance_share or 0.0)


def importance(parameters: Mapping[str, Sequence[Any]], metric: Sequence[float | None]) -> list[Importance]:
    """Return the importance of each parameter, strongest first.

    Runs without a finite metric and parameters with a single value are left out.
    """
    kept = [i for i, value in enumerate(metric) if value is not None and np.isfinite(value)]
    y = np.array([metric[i] for i in kept], dtype=float)
    entries = []
    for path, values in parameters.items():
        kept_values = [values[i] for i in kept]
        if len({_name(v) for v in kept_values}) < 2:
            continue
        rho, share = _rank_correlation(kept_values, y), _variance_share(kept_values, y)
        entries.append(Importance(path, rho, share, len(kept_values)))
    return sorted(entries, key=lambda each: (-each.strength, each.path))


def _rank_correlation(values: Sequence[Any], y: NDArray[np.float64]) -> float | None:
    if len(values) < 3 or not all(_is_number(v) for v in values) or np.ptp(y) == 0:
        return None
    from scipy import stats  # a slow import that the API can start without

    return float(stats.spearmanr(np.array(values, dtype=float), y).statistic)


def _variance_share(values: Sequence[Any], y: NDArray[np.float64]) -> float | None:
    names = [_name(v) for v in values]
    if len(set(names)) > len(names) / 2:
        if not all(_is_number(v) for v in values):
            return None
        numbers = np.array(values, dtype=float)
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
        names = [str(group) for group in np.searchsorted(edges, numbers, side="left")]
    groups = [y[[i for i, name in enumerate(names) if name == group]] for group in dict.fromkeys(names)]
    n, k = len(y), len(groups)
    total = float(((y - y.mean()) ** 2).sum())
    if n <= k or k < 2 or total == 0:
        return None
    within = sum(float(((g - g.mean()) ** 2).sum()) for g in groups)
    # ε² = (SS_between - (k - 1) MS_within) / SS_total
    return float(np.clip((total - within - (k - 1) * within / (n - k)) / total, 0, 1))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _name(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
