"""The nearest of many sparse centroids, through an inverted index: for each term, the clusters that know it.

A comment has a handful of words, so of a (clusters, terms) table it needs a handful of columns. Scores are added
up in 32 bits, and what lies within the rounding error of the best is scored again in 64 bits, in the order in which
a plain sparse product would add it. So the labels are those of the plain product, ties included, whatever the number
of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import sparse

from vise_core.threads import compiled_threads

BLOCK = 64
"""Clusters whose best score is looked at together."""
DENSE_SHARE = 8
"""A term that more than one in so many clusters know gets a whole row: adding rows is faster than scattering."""
_EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class InvertedIndex:
    """Centroids by term.

    Attributes
    ----------
    starts: (n_terms + 1,) int64; the postings of term t lie at starts[t] to starts[t + 1].
    clusters: (n_postings,) int32, ascending within a term. weights: (n_postings,) float32.
    row_of: (n_terms,) int32, the term's row in ``rows``, or -1.
    rows: (n_dense, clusters rounded up to BLOCK) float32, the columns of the terms that many clusters know.
    largest: (n_terms,) float32, the largest absolute weight of each term.
    half_norms: (k,) float64, half the squared norm of each centroid.
    """

    starts: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    row_of: npt.NDArray[np.int32]
    rows: npt.NDArray[np.float32]
    largest: npt.NDArray[np.float32]
    half_norms: npt.NDArray[np.float64]

    @classmethod
    def build(cls, centroids: sparse.csr_matrix | npt.NDArray[np.float32]) -> InvertedIndex:
        """Of (k, n_terms) centroids, sparse or dense; they are taken as float32."""
        by_cluster = sparse.csr_matrix(centroids, dtype=np.float32)
        k, terms = by_cluster.shape
        by_term = sparse.csc_matrix(by_cluster)
        by_term.sort_indices()
        lengths = np.diff(by_term.indptr)
        dense = np.flatnonzero(lengths * DENSE_SHARE > k)
        width = -(-k // BLOCK) * BLOCK
        rows = np.zeros((len(dense), width), dtype=np.float32)
        for row, term in enumerate(dense.tolist()):
            part = slice(by_term.indptr[term], by_term.indptr[term + 1])
            rows[row, by_term.indices[part]] = by_term.data[part]
        row_of = np.full(terms, -1, dtype=np.int32)
        row_of[dense] = np.arange(len(dense))
        largest = np.zeros(terms, dtype=np.float32)
        filled = np.flatnonzero(lengths)
        if len(filled):
            largest[filled] = np.maximum.reduceat(np.abs(by_term.data), by_term.indptr[filled])
        return cls(
            starts=by_term.indptr.astype(np.int64),
            clusters=by_term.indices.astype(np.int32),
            weights=by_term.data,
            row_of=row_of,
            rows=rows,
            largest=largest,
            half_norms=half_squared_norms(by_cluster),
        )

    def nearest(
        self, rows: sparse.csr_matrix, *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """(labels (n,) int32, squared distances (n,) float64) of (n, n_terms) float32 rows; ties: the lowest id."""
        if rows.shape[1] != len(self.row_of):
            raise ValueError(f"rows have {rows.shape[1]} terms, the centroids {len(self.row_of)}")
        labels = np.empty(rows.shape[0], dtype=np.int32)
        squared = np.empty(rows.shape[0])
        with compiled_threads(threads):
            _nearest(
                rows.indptr.astype(np.int64),
                rows.indices.astype(np.int32, copy=False),
                rows.data.astype(np.float32, copy=False),
                self.starts,
                self.clusters,
                self.weights,
                self.row_of,
                self.rows,
                self.largest,
                self.half_norms,
                4 * threads,
                labels,
                squared,
            )
        return labels, squared

    def margins(self, rows: sparse.csr_matrix) -> npt.NDArray[np.float64]:
        """(n,) by how much the 32-bit score of a centroid may lie off, twice: nothing below can be the best."""
        words = np.diff(rows.indptr)
        owners = np.repeat(np.arange(rows.shape[0]), words)
        sizes = np.bincount(
            owners,
            weights=np.abs(rows.data.astype(np.float64)) * self.largest[rows.indices],
            minlength=rows.shape[0],
        )
        # Each of the sums has one rounding for its products, additions and half norm.
        return np.asarray(4 * (words + 2) * _EPS * (sizes + self.half_norms.max()), np.float64)

    def squared_to(
        self, rows: sparse.csr_matrix, labels: npt.NDArray[np.int32], *, threads: int = 1
    ) -> npt.NDArray[np.float64]:
        """(n,) float64 squared distances of the rows to the centroids of these labels, as ``nearest`` gives them."""
        squared = np.empty(rows.shape[0])
        with compiled_threads(threads):
            _squared_to(
                rows.indptr.astype(np.int64),
                rows.indices.astype(np.int32, copy=False),
                rows.data.astype(np.float32, copy=False),
                self.starts,
                self.clusters,
                self.weights,
                self.row_of,
                self.rows,
                self.half_norms,
                labels,
                squared,
            )
        return squared


def half_squared_norms(centroids: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    """(k,) float64, added up in 64 bits."""
    squares = centroids.data.astype(np.float64) ** 2
    owners = np.repeat(np.arange(centroids.shape[0]), np.diff(centroids.indptr))
    return np.asarray(0.5 * np.bincount(owners, weights=squares, minlength=centroids.shape[0]), np.float64)


@njit(cache=True, fastmath=True, nogil=True)
def _add_row(scores, row, weight):  # type: ignore[no-untyped-def]
    for j in range(len(scores)):
        scores[j] += weight * row[j]


@njit(cache=True, fastmath=True, nogil=True)
def _block_maxima(scores, half_norms, maxima):  # type: ignore[no-untyped-def]
    """Best score of each block; scores lose their half norms on the way."""
    best = np.float32(-np.inf)
    for b in range(len(maxima)):
        top = np.float32(-3e38)
        for j in range(b * BLOCK, (b + 1) * BLOCK):
            scores[j] -= half_norms[j]
            top = max(top, scores[j])
        maxima[b] = top
        best = max(best, top)
    return best


@njit(cache=True, nogil=True)
def _exact(cluster, first, last, terms, values, starts, clusters, weights, row_of, rows):  # type: ignore[no-untyped-def]
    """The product of a row and a centroid in 64 bits, in the order of the row's entries."""
    total = 0.0
    for i in range(first, last):
        term = terms[i]
        if row_of[term] >= 0:
            total += np.float64(values[i]) * np.float64(rows[row_of[term], cluster])
            continue
        low, high = starts[term], starts[term + 1]
        while low < high:
            middle = (low + high) // 2
            if clusters[middle] < cluster:
                low = middle + 1
            else:
                high = middle
        if low < starts[term + 1] and clusters[low] == cluster:
            total += np.float64(values[i]) * np.float64(weights[low])
    return total


@njit(cache=True, parallel=True, nogil=True)
def _nearest(  # type: ignore[no-untyped-def]
    indptr,
    terms,
    values,
    starts,
    clusters,
    weights,
    row_of,
    rows,
    largest,
    half_norms,
    pieces,
    labels,
    squared,
):
    n, k, width = len(indptr) - 1, len(half_norms), -(-len(half_norms) // BLOCK) * BLOCK
    padded = np.full(width, np.float32(1e38))
    largest_half = 0.0
    for j in range(k):
        padded[j] = half_norms[j]
        largest_half = max(largest_half, half_norms[j])
    for piece in prange(pieces):
        scores = np.empty(width, dtype=np.float32)
        maxima = np.empty(width // BLOCK, dtype=np.float32)
        for i in range(piece * n // pieces, (piece + 1) * n // pieces):
            first, last = indptr[i], indptr[i + 1]
            scores[:] = np.float32(0)
            size, norm = largest_half, 0.0
            for at in range(first, last):
                term, value = terms[at], values[at]
                size += abs(value) * largest[term]
                norm += np.float64(value) * np.float64(value)
                if row_of[term] >= 0:
                    _add_row(scores, rows[row_of[term]], value)
                else:
                    for posting in range(starts[term], starts[term + 1]):
                        scores[clusters[posting]] += value * weights[posting]
            # Each of the sums has one rounding for its products, additions and half norm.
            threshold = _block_maxima(scores, padded, maxima) - 4 * (last - first + 2) * _EPS * size
            best, label = -np.inf, 0
            for block in range(len(maxima)):
                if maxima[block] >= threshold:
                    for j in range(block * BLOCK, min((block + 1) * BLOCK, k)):
                        if scores[j] >= threshold:
                            product = _exact(
                                j, first, last, terms, values, starts, clusters, weights, row_of, rows
                            )
                            if product - half_norms[j] > best:
                                best, label = product - half_norms[j], j
            labels[i] = label
            squared[i] = max(norm - 2 * best, 0.0)


@njit(cache=True, parallel=True, nogil=True)
def _squared_to(indptr, terms, values, starts, clusters, weights, row_of, rows, half_norms, labels, squared):  # type: ignore[no-untyped-def]
    for i in prange(len(labels)):
        first, last = indptr[i], indptr[i + 1]
        norm = 0.0
        for at in range(first, last):
            norm += np.float64(values[at]) * np.float64(values[at])
        product = _exact(labels[i], first, last, terms, values, starts, clusters, weights, row_of, rows)
        squared[i] = max(norm - 2 * (product - half_norms[labels[i]]), 0.0)
