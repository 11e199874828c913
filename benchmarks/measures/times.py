"""Times of repeated calls: median and 95th percentile."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Times(NamedTuple):
    """Milliseconds of repeated calls. ``p50``: the median. ``p95``: the smallest time that 95 % do not exceed."""

    p50: float
    p95: float

    @classmethod
    def of(cls, milliseconds: Iterable[float]) -> Times:
        """Return the quantiles of some times."""
        rising = sorted(milliseconds)
        return cls(statistics.median(rising), rising[math.ceil(0.95 * len(rising)) - 1])

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} ms, p95 {self.p95:.0f} ms"


def clocked(call: Callable[[], object]) -> float:
    """Return the milliseconds of one call."""
    clock = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - clock)


def time_calls(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Time each call ``repeats`` times after one warm-up, by name; prints each line."""
    times = {}
    for name, call in calls.items():
        call()
        times[name] = Times.of(clocked(call) for _ in range(repeats))
        print(f"{name:62} p50 {times[name].p50:7.1f} ms   p95 {times[name].p95:7.1f} ms", flush=True)
    return times
