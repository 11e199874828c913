"""Paired t-test of two methods over the same splits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from vise_core.errors import BadInput
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import SplitResult
from vise_core.specs.reports.tables import PairedTest

from .comparable import data_difference, measured_on, split_differences

SHOWN = 10
"""Greatest number of splits that a message names."""


def paired_test(a: EvaluateResult, b: EvaluateResult) -> PairedTest:
    """Compare two results over their splits, which must be the same images in train, val and test.

    ``p_corrected`` uses the corrected variance of Nadeau and Bengio (2003), since training sets of splits overlap.
    Raises BadInput where protocol, metric, data or splits differ, or for fewer than two splits.
    """
    for name in ("protocol", "metric"):
        if getattr(a, name) != getattr(b, name):
            raise BadInput(
                f"a paired test needs the same {name}: {getattr(a, name)!r} against {getattr(b, name)!r}"
            )
    _require_same_splits(a, b)
    if len(a.splits) < 2:
        raise BadInput("a paired test needs at least two splits")
    on = "val" if a.test_mean is None else "test"
    differences = [x - y for x, y in zip(_scores(a.splits, on), _scores(b.splits, on), strict=True)]
    train, val, test = a.splits[0].sizes
    numbers = _t_test(differences, (test if on == "test" else val) / train)
    return PairedTest(
        a=a.method,
        b=b.method,
        task=a.task,
        protocol=a.protocol,
        metric=a.metric,
        on=on,
        differences=tuple(differences),
        mean=statistics.fmean(differences),
        std=statistics.stdev(differences),
        synthetic=a.synthetic or b.synthetic,
        **numbers,
    )


def _require_same_splits(a: EvaluateResult, b: EvaluateResult) -> None:
    mine, other = measured_on(a), measured_on(b)
    needs = []
    if difference := data_difference(mine, other):
        same = "data" if a.task == b.task else f"task and data ({a.task!r} against {b.task!r})"
        needs.append(f"the same {same}: {a.method} was measured on {difference} than {b.method}")
    if differences := split_differences(mine, other):
        shown = "; ".join(differences[:SHOWN])
        more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        needs.append(f"the same splits: {shown}{more}")
    if needs:
        raise BadInput(f"a paired test needs {'; and '.join(needs)}")


def _scores(splits: Sequence[SplitResult], on: str) -> list[float]:
    return [getattr(split.chosen, on) for split in splits]


def _t_test(differences: Sequence[float], held_out: float) -> dict[str, float | None]:
    """Test a mean difference of zero. ``held_out``: the number of test images over that of train images."""
    from scipy import stats  # a slow import that the API can start without

    n = len(differences)
    mean, std = statistics.fmean(differences), statistics.stdev(differences)
    # Of equal differences, the standard deviation is rounding error.
    if std <= 1e-12 * max(1.0, abs(mean)):
        return {"t": None, "p": None, "p_corrected": None, "effect_size": None}
    t = mean / (std / math.sqrt(n))
    corrected = mean / (std * math.sqrt(1 / n + held_out))
    return {
        "t": t,
        "p": float(2 * stats.t.sf(abs(t), n - 1)),
        "p_corrected": float(2 * stats.t.sf(abs(corrected), n - 1)),
        "effect_size": mean / std,
    }
