"""Two methods on the same splits: is one better, and by how much?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from vise_core.errors import BadInput
from vise_core.specs.evaluate import EvaluateResult, SplitResult
from vise_core.specs.reports import PairedTest


def paired_test(a: EvaluateResult, b: EvaluateResult) -> PairedTest:
    """Compare two results over the splits they share the images of.

    Raises BadInput where task, protocol, metric or splits differ, or there are fewer than two splits.
    """
    for name in ("task", "protocol", "metric"):
        if getattr(a, name) != getattr(b, name):
            raise BadInput(
                f"a paired test needs the same {name}: {getattr(a, name)!r} against {getattr(b, name)!r}"
            )
    sizes = [tuple(split.sizes for split in result.splits) for result in (a, b)]
    if sizes[0] != sizes[1]:
        raise BadInput("a paired test needs the same splits; these differ in number or size")
    if len(a.splits) < 2:
        raise BadInput("a paired test needs at least two splits")
    on = "val" if a.test_mean is None else "test"
    differences = [x - y for x, y in zip(_scores(a.splits, on), _scores(b.splits, on), strict=True)]
    train, val, test = sizes[0][0]
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


def _scores(splits: Sequence[SplitResult], on: str) -> list[float]:
    return [getattr(split.chosen, on) for split in splits]


def _t_test(differences: Sequence[float], held_out: float) -> dict[str, float | None]:
    """``held_out`` is test images over train images."""
    from scipy import stats  # imports for long; the API starts without it

    n = len(differences)
    mean, std = statistics.fmean(differences), statistics.stdev(differences)
    # Equal differences leave a spread of rounding errors only.
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
