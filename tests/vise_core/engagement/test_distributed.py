"""k-means over blocks of rows in files: the bits of one process alone, however blocks are joined."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from vise_core.engagement.clustering import distributed
from vise_core.engagement.clustering.distributed import SharedPasses
from vise_core.engagement.clustering.lloyd import MakePass, fit_sparse
from vise_core.engine import Inline


def fit(rows: sparse.csr_matrix, share: Any = None, **more: Any) -> tuple[list[bytes], int, list[float]]:
    """(the bytes of the centroids, iterations, inertia of each)."""
    inertia: list[float] = []

    def each(_: int, value: float) -> bool:
        inertia.append(value)
        return False

    centroids, iterations = fit_sparse(
        rows, 12, 0, max_iter=6, tol=0, threads=1, distribute=share, on_pass=each, **more
    )
    return [getattr(centroids, part).tobytes() for part in ("indptr", "indices", "data")], iterations, inertia


def random_rows(seed: int, n: int, terms: int = 40) -> sparse.csr_matrix:
    """Few values, so that distances tie; some rows are empty, some equal."""
    rng = np.random.default_rng(seed)
    filled = rng.random((n, terms)) < rng.choice([0.02, 0.1, 0.3])
    return sparse.csr_matrix((rng.choice([0.5, 1 / 3, 1.0], (n, terms)) * filled).astype(np.float32))


class InTwoHalves(Inline):
    """Joins the results of each half first, the later half before the earlier, as a tree of tasks may."""

    def reduced(self, function: Any, join: Any, items: Any, name: Any) -> Any:
        results = [function(item) for item in reversed(items)][::-1]
        middle = len(results) // 2
        halves = [results[middle:], results[:middle]]
        return join([join(half) for half in halves if half][::-1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 200), st.integers(7, 250), st.booleans())
def test_blocks_joined_in_any_order_give_the_bits_of_one_process(
    seed: int, n: int, block_rows: int, spherical: bool
) -> None:
    rows = random_rows(seed, n)
    alone = fit(rows, spherical=spherical)
    for engine in (Inline(), InTwoHalves()):
        with TemporaryDirectory() as folder, mock.patch.object(distributed, "BLOCK_ROWS", block_rows):

            def share(rows: sparse.csr_matrix, bits: int, engine=engine, folder=folder) -> MakePass:
                return SharedPasses(engine, Path(folder), rows, bits)

            assert fit(rows, share, spherical=spherical) == alone
            assert not list(Path(folder).glob("centroids-*")), "centroids of past passes are removed"
