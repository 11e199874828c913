"""Number of physical cores that a virtual machine has at the moment.

Two virtual processors may share one core of the host for a while. Then matrix products with two threads are as slow as
with one, whereas code that mostly waits or runs Python is not.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

SIDE, PRODUCTS = 1024, 12


def cores_now() -> float:
    """Return the speed-up of large matrix products with all threads over one thread, the best of several each."""
    a = np.ones((SIDE, SIDE), np.float32)
    together = _best(a)
    with threadpool_limits(1, user_api="blas"):
        return _best(a) / together


def _best(a: npt.NDArray[np.float32]) -> float:
    times = []
    for _ in range(PRODUCTS):
        clock = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - clock)
    return min(times)
