"""What is told of how long something took, again and again."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import NamedTuple


class Times(NamedTuple):
    """In milliseconds. ``p50``: the median. ``p95``: the least that 95 % of all are not above."""

    p50: float
    p95: float

    @classmethod
    def of(cls, took: Iterable[float]) -> Times:
        rising = sorted(took)
        return cls(statistics.median(rising), rising[math.ceil(0.95 * len(rising)) - 1])

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} ms, p95 {self.p95:.0f} ms"
