"""Exact nearest-centroid search over sparse centroids through an inverted index, ties included.

``docs/reference/numerics.md`` derives it: 32-bit scores over the few clusters that a comment's words occur in, then
64-bit scores for the clusters within the rounding error of the best.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange
from scipy import sparse

from vise_core.kernels import kernel
from vise_core.threads import compiled_threads

from .csr import Csr, half_squared_norms

BLOCK = 64
"""Clusters that share one maximum of their scores."""
DENSE_SHARE = 8
"""A term that occurs in more than one of so many clusters gets a dense row: adding a row is faster than scattering."""
PIECES_PER_THREAD = 4
"""Pieces of the rows for each thread, so that threads finish together."""
_EPS = float(np.finfo(np.float32).eps)


class InvertedIndex(NamedTuple):
    """An inverted index of centroids by term; compiled loops take it as an argument.

    Attributes
    ----------
    starts: (n_terms + 1,) int64; the postings of term t lie at starts[t] to starts[t + 1].
    clusters: (n_postings,) int32, the clusters in which the term occurs, ascending within a term.
    weights: (n_postings,) float32, the term's weight in each of them.
    dense_row: (n_terms,) int32, the term's row in ``dense``, or -1.
    dense: (n_dense, k rounded up to BLOCK) float32, the columns of the terms that occur in many clusters.
    largest: (n_terms,) float32, the largest absolute weight of each term.
    half_norms: (k,) float64, half the squared norm of each centroid.
    """

    starts: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    dense_row: npt.NDArray[np.int32]
    dense: npt.NDArray[np.float32]
    largest: npt.NDArray[np.float32]
    half_norms: npt.NDArray[np.float64]

    @classmethod
    def build(cls, centroids: sparse.csr_matrix | npt.NDArray[np.float32]) -> InvertedIndex:
        """Index (k, n_terms) centroids, sparse or dense, as float32."""
        by_cluster = sparse.csr_matrix(centroids, dtype=np.float32)
        k, terms = by_cluster.shape
        by_term = sparse.csc_matrix(by_cluster)
        by_term.sort_indices()
        clusters_with_term = np.diff(by_term.indptr)
        frequent = np.flatnonzero(clusters_with_term * DENSE_SHARE > k)
        dense = np.zeros((len(frequent), -(-k // BLOCK) * BLOCK), dtype=np.float32)
        for row, term in enumerate(frequent.tolist()):
            part = slice(by_term.indptr[term], by_term.indptr[term + 1])
            dense[row, by_term.indices[part]] = by_term.data[part]
        dense_row = np.full(terms, -1, dtype=np.int32)
        dense_row[frequent] = np.arange(len(frequent))
        largest = np.zeros(terms, dtype=np.float32)
        used = np.flatnonzero(clusters_with_term)
        if len(used):
            largest[used] = np.maximum.reduceat(np.abs(by_term.data), by_term.indptr[used])
        return cls(*Csr.of(by_term), dense_row, dense, largest, half_squared_norms(by_cluster))

    def nearest(
        self, rows: sparse.csr_matrix, *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return (labels (n,) int32, squared distances (n,) float64) of (n, n_terms) float32 rows.

        Ties go to the lowest cluster id. Raises ValueError if the rows have another number of terms.
        """
        if rows.shape[1] != len(self.dense_row):
            raise ValueError(f"rows have {rows.shape[1]} terms, the centroids {len(self.dense_row)}")
        labels = np.empty(rows.shape[0], dtype=np.int32)
        squared = np.empty(rows.shape[0])
        with compiled_threads(threads):
            _nearest(Csr.of(rows), self, PIECES_PER_THREAD * threads, labels, squared)
        return labels, squared

    def margins(self, rows: sparse.csr_matrix) -> npt.NDArray[np.float64]:
        """Return twice the largest rounding error of each row's 32-bit scores, (n,) float64.

        A centroid whose score lies further below the best one cannot be the nearest.
        """
        terms = np.diff(rows.indptr)
        owners = np.repeat(np.arange(rows.shape[0]), terms)
        sizes = np.bincount(
            owners,
            weights=np.abs(rows.data.astype(np.float64)) * self.largest[rows.indices],
            minlength=rows.shape[0],
        )
        return np.asarray(4 * (terms + 2) * _EPS * (sizes + self.half_norms.max()), np.float64)

    def squared_to(
        self, rows: sparse.csr_matrix, labels: npt.NDArray[np.int32], *, threads: int = 1
    ) -> npt.NDArray[np.float64]:
        """Return the squared distance of each row to the centroid of its label, (n,) float64, as ``nearest`` does."""
        squared = np.empty(rows.shape[0])
        with compiled_threads(threads):
            _squared_to(Csr.of(rows), self, labels, squared)
        return squared


@kernel(fastmath=True, nogil=True)
def _add_row(scores, row, weight):  # type: ignore[no-untyped-def]
    for j in range(len(scores)):
        scores[j] += weight * row[j]


@kernel(fastmath=True, nogil=True)
def block_maxima(scores, half_norms, maxima):  # type: ignore[no-untyped-def]
    """Subtract the half norms from the scores; set each block's largest score and return the largest of all."""
    # Full fastmath leaves infinity undefined.
    best = np.float32(-3e38)
    for b in range(len(maxima)):
        top = np.float32(-3e38)
        for j in range(b * BLOCK, (b + 1) * BLOCK):
            scores[j] -= half_norms[j]
            top = max(top, scores[j])
        maxima[b] = top
        best = max(best, top)
    return best


# Compiled functions unpack the tuples before their loops, since each access to a field counts references atomically.


@kernel(nogil=True, inline="always")
def _exact_product(rows, i, index, cluster):  # type: ignore[no-untyped-def]
    """Return the product of row i and a centroid in 64 bits, added up in the order of the row's entries."""
    row_starts, terms, values = rows
    starts, clusters, weights, dense_row, dense, _, _ = index
    total = 0.0
    for at in range(row_starts[i], row_starts[i + 1]):
        term, value = terms[at], np.float64(values[at])
        if dense_row[term] >= 0:
            total += value * np.float64(dense[dense_row[term], cluster])
            continue
        low, high = starts[term], starts[term + 1]
        while low < high:
            middle = (low + high) // 2
            if clusters[middle] < cluster:
                low = middle + 1
            else:
                high = middle
        if low < starts[term + 1] and clusters[low] == cluster:
            total += value * np.float64(weights[low])
    return total


@kernel(nogil=True)
def _nearest_in(rows, index, padded_half_norms, begin, end, labels, squared):  # type: ignore[no-untyped-def]
    """Set ``labels`` and ``squared`` of the rows begin to end."""
    row_starts, terms, values = rows
    starts, clusters, weights, dense_row, dense, largest, half_norms = index
    k, largest_half, width = len(half_norms), half_norms.max(), len(padded_half_norms)
    scores = np.empty(width, dtype=np.float32)
    maxima = np.empty(width // BLOCK, dtype=np.float32)
    for i in range(begin, end):
        first, last = row_starts[i], row_starts[i + 1]
        scores[:] = np.float32(0)
        size, norm = largest_half, 0.0
        for at in range(first, last):
            term, value = terms[at], values[at]
            size += abs(value) * largest[term]
            norm += np.float64(value) * np.float64(value)
            if dense_row[term] >= 0:
                _add_row(scores, dense[dense_row[term]], value)
            else:
                for posting in range(starts[term], starts[term + 1]):
                    scores[clusters[posting]] += value * weights[posting]
        # The margin of ``InvertedIndex.margins``.
        threshold = block_maxima(scores, padded_half_norms, maxima) - 4 * (last - first + 2) * _EPS * size
        best, label = -np.inf, 0
        for block in range(len(maxima)):
            if maxima[block] >= threshold:
                for j in range(block * BLOCK, min((block + 1) * BLOCK, k)):
                    if scores[j] >= threshold:
                        score = _exact_product(rows, i, index, j) - half_norms[j]
                        if score > best:
                            best, label = score, j
        labels[i] = label
        squared[i] = max(norm - 2 * best, 0.0)


@kernel(parallel=True, nogil=True)
def _nearest(rows, index, pieces, labels, squared):  # type: ignore[no-untyped-def]
    """Set ``labels`` and ``squared`` of all rows, cut into ``pieces`` that run in parallel."""
    n, k = len(labels), len(index.half_norms)
    # Padding never has the best score.
    padded_half_norms = np.full(-(-k // BLOCK) * BLOCK, np.float32(1e38))
    padded_half_norms[:k] = index.half_norms
    for piece in prange(pieces):
        begin, end = piece * n // pieces, (piece + 1) * n // pieces
        _nearest_in(rows, index, padded_half_norms, begin, end, labels, squared)


@kernel(parallel=True, nogil=True)
def _squared_to(rows, index, labels, squared):  # type: ignore[no-untyped-def]
    for i in prange(len(labels)):
        norm = 0.0
        for at in range(rows.starts[i], rows.starts[i + 1]):
            norm += np.float64(rows.values[at]) * np.float64(rows.values[at])
        score = _exact_product(rows, i, index, labels[i]) - index.half_norms[labels[i]]
        squared[i] = max(norm - 2 * score, 0.0)
