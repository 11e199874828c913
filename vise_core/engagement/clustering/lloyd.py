"""Lloyd's k-means over sparse rows, in compiled code: scikit-learn's steps on an inverted index.

The same draws of k-means++, the same rule to stop and the same relocation of empty clusters as
``sklearn.cluster.KMeans``; centroids stay sparse. Members are added up as integers, in a unit so small that nothing
of a word's weight is lost: whole numbers give the same sum in any order, so the result has the same bits whatever
the number of threads, and however the rows are cut into blocks that others work on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import sparse

from vise_core.threads import compiled_threads

from .inverted import InvertedIndex, half_squared_norms
from .nearest_torch import TorchIndex

INIT_ROWS, INIT_ROWS_PER_CLUSTER = 20_000, 10
"""k-means++ looks at every row of so many; of more, at a random sample of at least as many, and of so many for each
cluster (ours: at a million rows, all would take hours)."""

Each = Callable[[int, float], bool]


@dataclass(frozen=True)
class Assigned:
    """What one pass finds for some rows.

    Attributes
    ----------
    labels: (n,) int32, the nearest centroid of each row. squared: (n,) float64, its squared distance.
    sums: (k, d) int64 CSR without zeros, the sum of the members of each cluster in units of 2**-bits.
    """

    labels: npt.NDArray[np.int32]
    squared: npt.NDArray[np.float64]
    sums: sparse.csr_matrix


Assign = Callable[[sparse.csr_matrix], Assigned]
"""From (k, d) float32 centroids to what a pass over all rows finds."""
Share = Callable[[sparse.csr_matrix, int], Assign]
"""From the rows and the bits of their sums to passes over them, by whomever."""


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
    share: Share | None = None,
    device: str = "cpu",
) -> tuple[sparse.csr_matrix, int]:
    """(centroids (k, d) float32 CSR, iterations) of (n, d) float32 rows (Sec. 3.2: k-means over comments).

    ``spherical``: rows and centroids are put on the unit sphere. ``tol`` is relative to the mean variance of a
    column. ``threads``: None means all cores. ``each`` is told the number of each iteration and the inertia of the
    centroids that it begins with, and may end the fit by answering True. ``share``: has the passes made elsewhere.
    ``device``: cpu or cuda. None of the last four changes a bit of the result.
    """
    threads = threads or os.cpu_count() or 1
    random = np.random.RandomState(seed)
    rows = sparse.csr_matrix(rows, dtype=np.float32)
    if spherical:
        rows = unit_rows(rows)
    bits = fraction_bits(rows)
    assigned = (
        share(rows, bits) if share else partial(assign, rows, bits=bits, threads=threads, device=device)
    )
    from sklearn.utils.sparsefuncs import mean_variance_axis

    tolerance = tol * float(mean_variance_axis(rows, axis=0)[1].mean())
    sample, most = rows, max(INIT_ROWS, INIT_ROWS_PER_CLUSTER * k)
    if rows.shape[0] > most:
        sample = rows[np.sort(random.choice(rows.shape[0], most, replace=False))]
    centroids = sample[plus_plus(sample, k, random)]
    before: npt.NDArray[np.int32] | None = None
    for iteration in range(1, max_iter + 1):
        found = assigned(centroids)
        if each is not None and each(iteration, float(found.squared.sum())):
            return centroids, iteration - 1
        moved = mean_rows(rows, found, bits)
        if spherical:
            moved = unit_rows(moved)
        shift = float(((moved - centroids).data.astype(np.float64) ** 2).sum())
        centroids = moved
        if (before is not None and np.array_equal(found.labels, before)) or shift <= tolerance:
            return centroids, iteration
        before = found.labels
    return centroids, max_iter


def assign(
    rows: sparse.csr_matrix,
    centroids: sparse.csr_matrix,
    *,
    bits: int,
    threads: int = 1,
    device: str = "cpu",
) -> Assigned:
    """One pass over (n, d) float32 rows: what they add to the next centroids."""
    return assigner(centroids, bits=bits, threads=threads, device=device)(rows)


def assigner(
    centroids: sparse.csr_matrix, *, bits: int, threads: int = 1, device: str = "cpu"
) -> Callable[[sparse.csr_matrix], Assigned]:
    """``assign`` for block after block of rows: what the centroids need is made once."""
    index = InvertedIndex.build(centroids) if device == "cpu" else TorchIndex.build(centroids, device)

    def one_block(rows: sparse.csr_matrix) -> Assigned:
        labels, squared = index.nearest(rows, threads=threads)
        return Assigned(
            labels, squared, member_sums(rows, labels, centroids.shape[0], bits=bits, threads=threads)
        )

    return one_block


def joined(parts: list[Assigned]) -> Assigned:
    """What a pass over all rows finds, from what it found for consecutive blocks of them."""
    sums = parts[0].sums
    for part in parts[1:]:
        sums = sums + part.sums
    return Assigned(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.squared for part in parts]),
        _without_zeros(sums),
    )


def fraction_bits(rows: sparse.csr_matrix) -> int:
    """How small a unit may be, as 2**-bits, so that no sum of the rows' entries leaves 64 bits.

    A million rows of length 1 get 41 bits: a weight of 2**-17 still counts with all the digits that 32 bits give it.
    """
    largest = float(np.abs(rows.data).max()) if rows.nnz else 0.0
    return 61 - int(rows.shape[0]).bit_length() - int(np.frexp(largest)[1])


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


def member_sums(
    rows: sparse.csr_matrix, labels: npt.NDArray[np.int32], k: int, *, bits: int, threads: int = 1
) -> sparse.csr_matrix:
    """(k, d) int64 CSR without zeros: the rows of each cluster added up in units of 2**-bits."""
    order = np.argsort(labels, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=k))])
    lengths = np.zeros(k, dtype=np.int64)
    given = (rows.indptr.astype(np.int64), rows.indices, rows.data)
    room = np.diff(rows.indptr).astype(np.int64)[order]
    starts = np.concatenate([[0], np.cumsum(room)])[ends]
    columns = np.empty(starts[-1], dtype=np.int32)
    sums = np.empty(starts[-1], dtype=np.int64)
    with compiled_threads(threads):
        _sums(
            order,
            ends,
            *given,
            rows.shape[1],
            np.ldexp(1.0, bits),
            starts,
            4 * threads,
            lengths,
            columns,
            sums,
        )
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    kept = np.arange(indptr[-1]) + np.repeat(starts[:-1] - indptr[:-1], lengths)
    return _without_zeros(sparse.csr_matrix((sums[kept], columns[kept], indptr), shape=(k, rows.shape[1])))


def mean_rows(rows: sparse.csr_matrix, found: Assigned, bits: int) -> sparse.csr_matrix:
    """(k, d) float32 CSR: the mean of the rows of each cluster.

    A cluster without rows takes the row that lies farthest from its centroid out of its cluster (method 7, trap 8).
    """
    k, labels = found.sums.shape[0], found.labels
    sizes = np.bincount(labels, minlength=k)
    empty = np.flatnonzero(sizes == 0)
    taken: list[tuple[int, int]] = []
    if len(empty):
        far = iter(np.argsort(-found.squared, kind="stable").tolist())
        for cluster in empty.tolist():
            # A row that is alone in its cluster must stay there.
            row = next((r for r in far if sizes[labels[r]] > 1), None)
            if row is None:
                break
            sizes[labels[row]] -= 1
            sizes[cluster] += 1
            taken.append((row, cluster))
    sums = found.sums
    if taken:
        # Whole numbers: what a row had added can be taken away again.
        moved, into = np.array(taken).T
        units = rows[moved]
        units.data = np.rint(np.ldexp(units.data.astype(np.float64), bits)).astype(np.int64)
        given = sparse.csr_matrix((np.ones(len(into), np.int64), (into, range(len(into)))), (k, len(into)))
        lost = sparse.csr_matrix((-given.data, (labels[moved], range(len(into)))), (k, len(into)))
        sums = _without_zeros(sums + (given + lost) @ units)
    members = np.repeat(np.maximum(sizes, 1), np.diff(sums.indptr))
    means = (np.ldexp(sums.data.astype(np.float64), -bits) / members).astype(np.float32)
    return sparse.csr_matrix((means, sums.indices, sums.indptr), shape=sums.shape)


def _without_zeros(sums: sparse.csr_matrix) -> sparse.csr_matrix:
    """With entries in one order and no zeros: equal sums are then equal arrays."""
    sums.eliminate_zeros()
    sums.sort_indices()
    return sums


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
def _sums(order, ends, indptr, columns, values, width, scale, starts, pieces, lengths, out_columns, out_sums):  # type: ignore[no-untyped-def]
    k = len(lengths)
    for piece in prange(pieces):
        sums = np.zeros(width, dtype=np.int64)
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
                    sums[column] += np.int64(np.rint(np.float64(values[at]) * scale))
            out_columns[first : first + found].sort()
            for i in range(first, first + found):
                out_sums[i] = sums[out_columns[i]]
                sums[out_columns[i]] = 0
                seen[out_columns[i]] = False
            lengths[cluster] = found
