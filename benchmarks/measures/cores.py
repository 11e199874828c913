"""How many cores a virtual machine has at the moment.

Two virtual processors may be two threads of one core of the host, and the host moves them about: then what multiplies
matrices with two threads is as slow as with one, and what mostly waits or runs Python is not.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

SIDE, PRODUCTS = 1024, 12


def cores_now() -> float:
    """How many times as fast large matrix products are with all threads as with one; the best of several each."""
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
