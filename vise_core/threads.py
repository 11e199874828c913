"""Number of threads of loops that Numba compiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba


@contextmanager
def compiled_threads(threads: int) -> Iterator[None]:
    """Limit Numba's parallel loops to ``threads`` threads inside the ``with`` block; restore the number afterwards."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.set_num_threads(before)
