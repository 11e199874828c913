"""Exact nearest-centroid search over dense rows: 32-bit products find candidates, 64-bit distances decide.

``docs/reference/numerics.md`` derives the bound of the products' rounding error.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange
from threadpoolctl import ThreadpoolController

from vise_core.kernels import kernel
from vise_core.threads import compiled_threads

from .inverted import BLOCK, PIECES_PER_THREAD, block_maxima

ROWS = 512
"""Rows of one matrix product: its scores stay in the cache, and packing the centroids costs little beside it."""
_ROUNDING = 2.0**-24
_ROUNDING64 = 2.0**-53
_LARGEST = 1e37
"""Scores that may be larger than this could overflow 32 bits; their rows are decided in 64 bits only."""


class DenseIndex(NamedTuple):
    """Centroids for dense rows; compiled loops take it as an argument.

    Attributes
    ----------
    centroids: (k, d) float32. table: (d, k rounded up to BLOCK) float32, the centroids as columns.
    half_norms: (k rounded up to BLOCK) float32, half the squared norm of each; padding never has the best score.
    largest_norm: the largest L2 norm of a centroid.
    """

    centroids: npt.NDArray[np.float32]
    table: npt.NDArray[np.float32]
    half_norms: npt.NDArray[np.float32]
    largest_norm: float

    @classmethod
    def build(cls, centroids: npt.NDArray[np.float32]) -> DenseIndex:
        """Index (k, d) float32 centroids."""
        centroids = np.ascontiguousarray(centroids, np.float32)
        k, width = len(centroids), -(-len(centroids) // BLOCK) * BLOCK
        table = np.zeros((centroids.shape[1], width), np.float32)
        table[:, :k] = centroids.T
        squared = (centroids.astype(np.float64) ** 2).sum(axis=1)
        half_norms = np.full(width, 1e38, np.float32)
        half_norms[:k] = np.minimum(0.5 * squared, 1e38)
        return cls(centroids, table, half_norms, float(np.sqrt(squared.max())))

    def nearest(
        self, rows: npt.NDArray[np.float32], *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return (labels (n,) int32, squared distances (n,) float64) of (n, d) float32 rows.

        Both are those of a brute-force search in 64 bits, where (x - c)² is added up in the order of columns. Ties go
        to the lowest cluster id. Raises ValueError if the rows have another number of columns.
        """
        if rows.shape[1] != len(self.table):
            raise ValueError(f"rows have {rows.shape[1]} columns, the centroids {len(self.table)}")
        labels = np.empty(len(rows), dtype=np.int32)
        squared = np.empty(len(rows))
        # Each thread has products of its own, so BLAS must not start threads too.
        with compiled_threads(threads), _blas().limit(limits=1, user_api="blas"):
            _nearest(
                np.ascontiguousarray(rows, np.float32), self, PIECES_PER_THREAD * threads, labels, squared
            )
        return labels, squared

    def margins(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return twice the largest error of each row's 32-bit scores, (n,) float64.

        A centroid whose score lies further below the best one cannot be the nearest. Infinite where scores may overflow.
        """
        margins = np.empty(len(rows))
        _margins(np.ascontiguousarray(rows, np.float32), self.largest_norm, margins)
        return margins

    def squared_to(
        self, rows: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], *, threads: int = 1
    ) -> npt.NDArray[np.float64]:
        """Return the squared distance of each row to the centroid of its label, (n,) float64, as ``nearest`` does."""
        squared = np.empty(len(rows))
        with compiled_threads(threads):
            _squared_to(np.ascontiguousarray(rows, np.float32), self.centroids, labels, squared)
        return squared


@cache
def _blas() -> ThreadpoolController:
    # Looking for the libraries takes milliseconds, and compiled products use scipy's.
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()


# Sums in any order, but NaN and infinity keep their meaning.
@kernel(fastmath={"reassoc", "contract"}, nogil=True)
def _norm(row):  # type: ignore[no-untyped-def]
    total = 0.0
    for value in row:
        total += np.float64(value) * np.float64(value)
    return np.sqrt(total)


@kernel(nogil=True)
def _squared_distance(row, centroid):  # type: ignore[no-untyped-def]
    """Return |row - centroid|² in 64 bits, added up in the order of columns."""
    total = 0.0
    for j in range(len(row)):
        difference = np.float64(row[j]) - np.float64(centroid[j])
        total += difference * difference
    return total


@kernel(nogil=True, inline="always")
def _margin(norm, largest_norm, d):  # type: ignore[no-untyped-def]
    """Return twice the largest error of 32-bit scores of a row of this norm; infinity where they may overflow."""
    size = norm * largest_norm + 0.5 * largest_norm * largest_norm
    if not size < _LARGEST:
        return np.inf
    in_32_bits = 2.02 * (d + 6) * _ROUNDING * size + (d + 6) * 2.0**-120
    in_64_bits = 2 * (d + 4) * _ROUNDING64 * (norm + largest_norm) ** 2
    return in_32_bits + in_64_bits


@kernel(nogil=True)
def _decide(scores, rows, index, labels, squared):  # type: ignore[no-untyped-def]
    """Set ``labels`` and ``squared`` of rows from their products with the table, which are changed."""
    centroids, _, half_norms, largest_norm = index
    k, d = centroids.shape
    maxima = np.empty(len(half_norms) // BLOCK, dtype=np.float32)
    for i in range(len(rows)):
        margin = _margin(_norm(rows[i]), largest_norm, d)
        all_in_64_bits = margin == np.inf
        threshold = np.float32(0)
        if not all_in_64_bits:
            threshold = np.float32(block_maxima(scores[i], half_norms, maxima) - margin)
        nearest, label = np.inf, 0
        for block in range(len(maxima)):
            if all_in_64_bits or maxima[block] >= threshold:
                for j in range(block * BLOCK, min((block + 1) * BLOCK, k)):
                    if all_in_64_bits or scores[i, j] >= threshold:
                        distance = _squared_distance(rows[i], centroids[j])
                        if distance < nearest:
                            nearest, label = distance, j
        labels[i], squared[i] = label, nearest


@kernel(parallel=True, nogil=True)
def _nearest(rows, index, pieces, labels, squared):  # type: ignore[no-untyped-def]
    """Set ``labels`` and ``squared`` of all rows, cut into ``pieces`` that run in parallel."""
    n, table = len(rows), index.table
    for piece in prange(pieces):
        begin, end = piece * n // pieces, (piece + 1) * n // pieces
        products = np.empty((min(ROWS, end - begin), table.shape[1]), dtype=np.float32)
        for start in range(begin, end, ROWS):
            stop = min(start + ROWS, end)
            scores = products[: stop - start]
            np.dot(rows[start:stop], table, scores)
            _decide(scores, rows[start:stop], index, labels[start:stop], squared[start:stop])


@kernel(nogil=True)
def _margins(rows, largest_norm, margins):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        margins[i] = _margin(_norm(rows[i]), largest_norm, rows.shape[1])


@kernel(parallel=True, nogil=True)
def _squared_to(rows, centroids, labels, squared):  # type: ignore[no-untyped-def]
    for i in prange(len(labels)):
        squared[i] = _squared_distance(rows[i], centroids[labels[i]])
