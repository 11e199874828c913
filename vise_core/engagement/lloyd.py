"""Lloyd's k-means over sparse rows, in compiled code: scikit-learn's steps on an inverted index.

The same draws of k-means++, the same order of sums, the same rule to stop and the same relocation of empty clusters
as ``sklearn.cluster.KMeans``; centroids stay sparse, and the result does not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from .inverted import InvertedIndex, compiled_threads, half_squared_norms

INIT_ROWS, INIT_ROWS_PER_CLUSTER = 20_000, 10
"""k-means++ looks at every row of so many; of more, at a random sample of at least as many, and of so many for each
cluster (ours: at a million rows, all would take hours)."""

Each = Callable[[int, float], bool]


def fit_sparse(
    rows: sparse.csr_matrix,
    k: int,
    seed: int,
    *,
    max_iter: int,
    tol: float,
    spherical: bool = False,
    threads: int | None = None,
    each: Each | None = None,
) -> tuple[sparse.csr_matrix, int]:
    """(centroids (k, d) float32 CSR, iterations) of (n, d) float32 rows.

    ``spherical``: rows and centroids are put on the unit sphere. ``tol`` is relative to the mean variance of a
    column. ``threads``: None means all cores. ``each`` is told the number of each iteration and the inertia of the
    centroids that it begins with, and may end the fit by answering True.
    """
    threads = threads or os.cpu_count() or 1
    random = np.random.RandomState(seed)
    rows = sparse.csr_matrix(rows, dtype=np.float32)
    if spherical:
        rows = unit_rows(rows)
    tolerance = tol * float(mean_variance_axis(rows, axis=0)[1].mean())
    sample, most = rows, max(INIT_ROWS, INIT_ROWS_PER_CLUSTER * k)
    if rows.shape[0] > most:
        sample = rows[np.sort(random.choice(rows.shape[0], most, replace=False))]
    centroids = sample[plus_plus(sample, k, random)]
    labels: npt.NDArray[np.int32] | None = None
    for iteration in range(1, max_iter + 1):
        before = labels
        labels, squared = InvertedIndex.build(centroids).nearest(rows, threads=threads)
        if each is not None and each(iteration, float(squared.sum())):
            return centroids, iteration - 1
        moved = mean_rows(rows, labels, squared, k, threads=threads)
        if spherical:
            moved = unit_rows(moved)
        shift = float(((moved - centroids).data.astype(np.float64) ** 2).sum())
        centroids = moved
        if (before is not None and np.array_equal(labels, before)) or shift <= tolerance:
            return centroids, iteration
    return centroids, max_iter


def plus_plus(rows: sparse.csr_matrix, k: int, random: np.random.RandomState) -> npt.NDArray[np.int64]:
    """k-means++ (Arthur and Vassilvitskii 2007) with greedy trials: the ids of k rows of (n, d) float32.

    Draws as ``sklearn.cluster.kmeans_plusplus`` does, so that the same seed chooses the same rows.
    """
    n = rows.shape[0]
    trials = 2 + int(np.log(k))
    by_term = sparse.csc_matrix(rows)
    by_term.sort_indices()
    norms = 2 * half_squared_norms(rows)
    at = (rows.indptr.astype(np.int64), rows.indices, rows.data)
    of = (by_term.indptr.astype(np.int64), by_term.indices, by_term.data)
    chosen = np.empty(k, dtype=np.int64)
    chosen[0] = random.choice(n, p=np.full(n, 1 / n))
    closest = np.full(n, np.inf)
    distances = np.empty((trials, n))
    _distances_to(chosen[:1], *at, *of, norms, closest, distances)
    closest[:] = distances[0]
    potential = closest.sum()
    for i in range(1, k):
        drawn = np.searchsorted(np.cumsum(closest), random.uniform(size=trials) * potential)
        np.clip(drawn, None, n - 1, out=drawn)
        _distances_to(drawn, *at, *of, norms, closest, distances)
        potentials = distances.sum(axis=1)
        best = int(potentials.argmin())
        chosen[i], potential = drawn[best], potentials[best]
        closest[:] = distances[best]
    return chosen


def mean_rows(
    rows: sparse.csr_matrix,
    labels: npt.NDArray[np.int32],
    squared: npt.NDArray[np.float64],
    k: int,
    *,
    threads: int = 1,
) -> sparse.csr_matrix:
    """(k, d) float32 CSR: the mean of the rows of each cluster, added up in 64 bits in the order of the rows.

    A cluster without rows takes the row that lies farthest from its centroid out of its cluster (method 7, trap 8).
    """
    labels = labels.copy()
    sizes = np.bincount(labels, minlength=k)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        far = iter(np.argsort(-squared, kind="stable").tolist())
        for cluster in empty.tolist():
            # A row that is alone in its cluster must stay there.
            row = next((r for r in far if sizes[labels[r]] > 1), None)
            if row is None:
                break
            sizes[labels[row]] -= 1
            sizes[cluster] += 1
            labels[row] = cluster
    order = np.argsort(labels, kind="stable")
    ends = np.concatenate([[0], np.cumsum(sizes)])
    lengths = np.zeros(k, dtype=np.int64)
    given = (rows.indptr.astype(np.int64), rows.indices, rows.data)
    room = np.diff(rows.indptr).astype(np.int64)[order]
    starts = np.concatenate([[0], np.cumsum(room)])[ends]
    columns = np.empty(starts[-1], dtype=np.int32)
    means = np.empty(starts[-1], dtype=np.float32)
    with compiled_threads(threads):
        _means(order, ends, *given, rows.shape[1], starts, 4 * threads, lengths, columns, means)
    kept = np.concatenate([np.arange(s, s + m) for s, m in zip(starts[:-1], lengths, strict=True)])
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    found = sparse.csr_matrix((means[kept], columns[kept], indptr), shape=(k, rows.shape[1]))
    found.has_sorted_indices = True
    return found


def unit_rows(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows of L2 norm 1; empty rows stay empty."""
    norms = np.sqrt(2 * half_squared_norms(rows))
    norms[norms == 0] = 1
    scaled = rows.copy()
    scaled.data = (rows.data / np.repeat(norms, np.diff(rows.indptr))).astype(np.float32)
    return scaled


@njit(cache=True, nogil=True)
def _distances_to(chosen, indptr, columns, values, starts, owners, weights, norms, closest, distances):  # type: ignore[no-untyped-def]
    """distances[t, i] = min(closest[i], |row i - row chosen[t]|²)."""
    n = len(norms)
    for t in range(len(chosen)):
        products = distances[t]
        products[:] = 0.0
        for at in range(indptr[chosen[t]], indptr[chosen[t] + 1]):
            for posting in range(starts[columns[at]], starts[columns[at] + 1]):
                products[owners[posting]] += np.float64(values[at]) * np.float64(weights[posting])
        for i in range(n):
            products[i] = min(closest[i], max(norms[i] + norms[chosen[t]] - 2 * products[i], 0.0))
        products[chosen[t]] = 0.0


@njit(cache=True, parallel=True, nogil=True)
def _means(order, ends, indptr, columns, values, width, starts, pieces, lengths, out_columns, out_means):  # type: ignore[no-untyped-def]
    k = len(lengths)
    for piece in prange(pieces):
        sums = np.zeros(width)
        seen = np.zeros(width, dtype=np.bool_)
        for cluster in range(piece * k // pieces, (piece + 1) * k // pieces):
            first, found = starts[cluster], 0
            for member in order[ends[cluster] : ends[cluster + 1]]:
                for at in range(indptr[member], indptr[member + 1]):
                    column = columns[at]
                    if not seen[column]:
                        seen[column] = True
                        out_columns[first + found] = column
                        found += 1
                    sums[column] += values[at]
            out_columns[first : first + found].sort()
            size = ends[cluster + 1] - ends[cluster]
            for i in range(first, first + found):
                out_means[i] = sums[out_columns[i]] / size
                sums[out_columns[i]] = 0.0
                seen[out_columns[i]] = False
            lengths[cluster] = found
