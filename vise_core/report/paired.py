"""Two methods on the same splits: is one better, and by how much?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy import stats

from vise_core.errors import BadInput
from vise_core.specs.base import Record
from vise_core.specs.evaluate import EvaluateResult, SplitResult


class PairedTest(Record):
    """A minus b, split by split.

    ``p`` is of Student's paired t-test. Random splits of one set share images, so that their scores are not
    independent and ``p`` comes out too small; ``p_corrected`` widens the variance by the share of test to train
    images (Nadeau and Bengio 2003, corrected resampled t-test).
    """

    a: str
    b: str
    task: str
    protocol: str
    metric: str
    on: str = Field(description="test, or val where the task has no test labels.")
    differences: tuple[float, ...] = Field(description="a - b on each split, in the metric's unit.")
    mean: float
    std: float = Field(description="Sample std (ddof 1) of the differences.")
    t: float | None = Field(
        description="None where all differences are equal: there is no spread to test by."
    )
    p: float | None = Field(description="Two-sided.")
    p_corrected: float | None = Field(description="Two-sided, corrected for overlapping random splits.")
    effect_size: float | None = Field(description="Cohen's d_z: mean over std of the differences.")
    synthetic: bool = False

    def sentence(self) -> str:
        """The result in words."""
        n = len(self.differences)
        if self.p is None:
            return f"{self.a} − {self.b}: {self.mean:+.4g} on each of {n} splits; no spread, so no test."
        return (
            f"{self.a} − {self.b}: {self.mean:+.4g} ± {self.std:.4g} over {n} splits; paired t-test p = {self.p:.3g} "
            f"(p = {self.p_corrected:.3g} corrected for overlapping splits), effect size d_z = {self.effect_size:.2f}."
        )


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
    differences = _scores(a.splits, on) - _scores(b.splits, on)
    train, val, test = sizes[0][0]
    numbers = _t_test(differences, (test if on == "test" else val) / train)
    return PairedTest(
        a=a.method,
        b=b.method,
        task=a.task,
        protocol=a.protocol,
        metric=a.metric,
        on=on,
        differences=tuple(differences.tolist()),
        mean=float(differences.mean()),
        std=float(differences.std(ddof=1)),
        synthetic=a.synthetic or b.synthetic,
        **numbers,
    )


def _scores(splits: Sequence[SplitResult], on: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([getattr(split.chosen, on) for split in splits], dtype=np.float64)


def _t_test(
    differences: np.ndarray[tuple[int], np.dtype[np.float64]], held_out: float
) -> dict[str, float | None]:
    """``held_out`` is test images over train images."""
    n = len(differences)
    mean, std = float(differences.mean()), float(differences.std(ddof=1))
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
