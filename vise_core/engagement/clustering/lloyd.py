"""Lloyd's k-means over sparse rows, in compiled code: scikit-learn's steps on an inverted index.

The draws of k-means++, the stopping rule and the relocation of empty clusters are those of ``sklearn.cluster.KMeans``;
centroids stay sparse. Members are added up as integers, so the result has the same bits for any number of threads,
blocks and helpers (``docs/reference/numerics.md``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange
from scipy import sparse

from vise_core.kernels import kernel
from vise_core.threads import compiled_threads

from .csr import Csr, canonical, half_squared_norms, unit_rows
from .inverted import PIECES_PER_THREAD, InvertedIndex
from .nearest_torch import TorchIndex

INIT_ROWS, INIT_ROWS_PER_CLUSTER = 20_000, 10
"""k-means++ chooses among at most max(INIT_ROWS, k · INIT_ROWS_PER_CLUSTER) rows, sampled at random if there are more
(ours: all of a million rows would take hours)."""

Matrix = Any
"""A scipy CSR matrix or a numpy array."""
OnPass = Callable[[int, float], bool]
"""Called with the number of each pass and the inertia of the centroids before it; returning True ends the fit."""


@dataclass(frozen=True)
class Assigned:
    """The outcome of one pass over some rows.

    Attributes
    ----------
    labels: (n,) int32, the nearest centroid of each row. squared: (n,) float64, its squared distance.
    sums: (k, d) int64, the sum of the members of each cluster in units of 2**-bits; CSR without zeros for sparse rows.
    """

    labels: npt.NDArray[np.int32]
    squared: npt.NDArray[np.float64]
    sums: Matrix


MakePass = Callable[[sparse.csr_matrix], Assigned]
"""From (k, d) float32 centroids to the outcome of a pass over all rows."""
Distribute = Callable[[sparse.csr_matrix, int], MakePass]
"""From all rows and the fraction bits of their sums to passes that several processes make together."""


def fit_sparse(
    rows: sparse.csr_matrix,
    k: int,
    seed: int,
    *,
    max_iter: int,
    tol: float,
    spherical: bool = False,
    threads: int | None = None,
    on_pass: OnPass | None = None,
    distribute: Distribute | None = None,
    device: str = "cpu",
) -> tuple[sparse.csr_matrix, int]:
    """Fit k-means to (n, d) float32 rows and return (centroids (k, d) float32 CSR, passes made) (Sec. 3.2).

    Parameters
    ----------
    tol: stop once the centroids move less than this, relative to the mean variance of a column.
    spherical: rows and centroids are put on the unit sphere.
    threads: None means all cores.
    distribute: makes the passes together with other processes. device: cpu or cuda.

    Threads, ``distribute`` and ``device`` change no bit of the result.
    """
    threads = threads or os.cpu_count() or 1
    random = np.random.RandomState(seed)
    rows = sparse.csr_matrix(rows, dtype=np.float32)
    if spherical:
        rows = unit_rows(rows)
    bits = fraction_bits(rows)
    make_pass = (
        distribute(rows, bits)
        if distribute
        else partial(assign, rows, bits=bits, threads=threads, device=device)
    )
    from sklearn.utils.sparsefuncs import mean_variance_axis

    def move(assigned: Assigned) -> sparse.csr_matrix:
        means = mean_rows(rows, assigned, bits)
        return unit_rows(means) if spherical else means

    tolerance = tol * float(mean_variance_axis(rows, axis=0)[1].mean())
    sample = init_sample(rows, k, random)
    centroids = sample[plus_plus(sample, k, random)]
    return iterate(centroids, make_pass, move, max_iter=max_iter, tolerance=tolerance, on_pass=on_pass)


def iterate(
    centroids: Matrix,
    make_pass: Callable[[Matrix], Assigned],
    move: Callable[[Assigned], Matrix],
    *,
    max_iter: int,
    tolerance: float,
    on_pass: OnPass | None,
) -> tuple[Matrix, int]:
    """Make passes until the labels stay or the centroids move by less than ``tolerance``, at most ``max_iter``.

    ``move`` returns the new centroids after a pass. Returns (centroids (k, d), passes made).
    """
    labels_before: npt.NDArray[np.int32] | None = None
    for iteration in range(1, max_iter + 1):
        assigned = make_pass(centroids)
        if on_pass is not None and on_pass(iteration, float(assigned.squared.sum())):
            return centroids, iteration - 1
        moved = move(assigned)
        shift = moved - centroids
        if sparse.issparse(shift):
            shift = shift.data
        centroids = moved
        unchanged = labels_before is not None and np.array_equal(assigned.labels, labels_before)
        if unchanged or float((shift.astype(np.float64) ** 2).sum()) <= tolerance:
            return centroids, iteration
        labels_before = assigned.labels
    return centroids, max_iter


def init_sample(rows: Matrix, k: int, random: np.random.RandomState) -> Matrix:
    """Return the rows that k-means++ chooses among: all, or a random sample in their order."""
    most = max(INIT_ROWS, INIT_ROWS_PER_CLUSTER * k)
    if rows.shape[0] > most:
        return rows[np.sort(random.choice(rows.shape[0], most, replace=False))]
    return rows


def assign(
    rows: sparse.csr_matrix,
    centroids: sparse.csr_matrix,
    *,
    bits: int,
    threads: int = 1,
    device: str = "cpu",
) -> Assigned:
    """Make one pass over (n, d) float32 rows: nearest centroids and the sums of their members."""
    return block_assigner(centroids, bits=bits, threads=threads, device=device)(rows)


def block_assigner(
    centroids: sparse.csr_matrix, *, bits: int, threads: int = 1, device: str = "cpu"
) -> Callable[[sparse.csr_matrix], Assigned]:
    """Return a function that assigns (n, dim) float32 rows to (k, dim) centroids, which are indexed only once."""
    index = InvertedIndex.build(centroids) if device == "cpu" else TorchIndex.build(centroids, device)

    def assign_block(rows: sparse.csr_matrix) -> Assigned:
        labels, squared = index.nearest(rows, threads=threads)
        sums = member_sums(rows, labels, centroids.shape[0], bits=bits, threads=threads)
        return Assigned(labels, squared, sums)

    return assign_block


def join_blocks(blocks: list[Assigned]) -> Assigned:
    """Join the outcomes of a pass over consecutive blocks of rows into the outcome for all rows."""
    sums = blocks[0].sums
    for block in blocks[1:]:
        sums = sums + block.sums
    return Assigned(
        np.concatenate([block.labels for block in blocks]),
        np.concatenate([block.squared for block in blocks]),
        canonical(sums),
    )


def fraction_bits(rows: Matrix) -> int:
    """Return the largest b for which no sum of the entries of (n, dim) rows in units of 2**-b overflows 64 bits.

    A million rows of L2 norm 1 get 41 bits: a weight of 2**-17 keeps all digits of its float32.
    """
    entries = rows.data if sparse.issparse(rows) else rows
    largest = max(float(entries.max()), -float(entries.min())) if entries.size else 0.0
    return 61 - int(rows.shape[0]).bit_length() - int(np.frexp(largest)[1])


def plus_plus(rows: sparse.csr_matrix, k: int, random: np.random.RandomState) -> npt.NDArray[np.int64]:
    """Return the indices of k of (n, d) float32 rows, chosen by greedy k-means++ (Arthur and Vassilvitskii 2007).

    The draws are those of ``sklearn.cluster.kmeans_plusplus``: the same seed chooses the same rows.
    """
    n = rows.shape[0]
    trials = 2 + int(np.log(k))
    columns = sparse.csc_matrix(rows)
    columns.sort_indices()
    by_row, by_column = Csr.of(rows), Csr.of(columns)
    norms = 2 * half_squared_norms(rows)
    chosen = np.empty(k, dtype=np.int64)
    chosen[0] = random.choice(n, p=np.full(n, 1 / n))
    closest = np.full(n, np.inf)
    distances = np.empty((trials, n))
    _distances_to(chosen[:1], by_row, by_column, norms, closest, distances)
    closest[:] = distances[0]
    potential = closest.sum()
    for i in range(1, k):
        drawn = np.searchsorted(np.cumsum(closest), random.uniform(size=trials) * potential)
        np.clip(drawn, None, n - 1, out=drawn)
        _distances_to(drawn, by_row, by_column, norms, closest, distances)
        potentials = distances.sum(axis=1)
        best = int(potentials.argmin())
        chosen[i], potential = drawn[best], potentials[best]
        closest[:] = distances[best]
    return chosen


def member_sums(
    rows: sparse.csr_matrix, labels: npt.NDArray[np.int32], k: int, *, bits: int, threads: int = 1
) -> sparse.csr_matrix:
    """Add up the rows of each cluster in units of 2**-bits: (k, d) int64 CSR without zeros."""
    members = Members.of(rows, labels, k)
    columns = np.empty(members.offsets[-1], dtype=np.int32)
    sums = np.empty(members.offsets[-1], dtype=np.int64)
    lengths = np.zeros(k, dtype=np.int64)
    with compiled_threads(threads):
        _sum_members(
            Csr.of(rows), members, rows.shape[1], np.ldexp(1.0, bits), PIECES_PER_THREAD * threads,
            lengths, columns, sums,
        )  # fmt: skip
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    kept = np.arange(indptr[-1]) + np.repeat(members.offsets[:-1] - indptr[:-1], lengths)
    return canonical(sparse.csr_matrix((sums[kept], columns[kept], indptr), shape=(k, rows.shape[1])))


class Members(NamedTuple):
    """The rows of each of k clusters, and the offsets at which their sums are stored.

    Attributes
    ----------
    rows: (n,) int64, the indices of the rows, cluster by cluster.
    starts: (k + 1,) int64; the rows of cluster c lie at starts[c] to starts[c + 1].
    offsets: (k + 1,) int64; the entries of the sum of cluster c, at most as many as its rows have, lie from offsets[c].
    """

    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: sparse.csr_matrix, labels: npt.NDArray[np.int32], k: int) -> Members:
        """Group (n, d) rows by their labels, (n,)."""
        order = np.argsort(labels, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=k))])
        entries = np.diff(rows.indptr).astype(np.int64)[order]
        return cls(order, starts, np.concatenate([[0], np.cumsum(entries)])[starts])


def mean_rows(rows: sparse.csr_matrix, assigned: Assigned, bits: int) -> sparse.csr_matrix:
    """Return the mean of the rows of each cluster, (k, d) float32 CSR.

    An empty cluster gets the row that is farthest from its centroid; that row leaves its old cluster (method 7, trap 8).
    """
    sums, k = assigned.sums, assigned.sums.shape[0]
    sizes = np.bincount(assigned.labels, minlength=k)
    relocated = relocated_rows(assigned, sizes)
    if relocated:
        # Integers: subtracting the row from its old cluster's sum is exact.
        moved, targets = np.array(relocated).T
        units = rows[moved]
        units.data = np.rint(np.ldexp(units.data.astype(np.float64), bits)).astype(np.int64)
        ones, each = np.ones(len(targets), np.int64), np.arange(len(targets))
        added = sparse.csr_matrix((ones, (targets, each)), (k, len(targets)))
        removed = sparse.csr_matrix((-ones, (assigned.labels[moved], each)), (k, len(targets)))
        sums = canonical(sums + (added + removed) @ units)
    members = np.repeat(np.maximum(sizes, 1), np.diff(sums.indptr))
    means = (np.ldexp(sums.data.astype(np.float64), -bits) / members).astype(np.float32)
    return sparse.csr_matrix((means, sums.indices, sums.indptr), shape=sums.shape)


def relocated_rows(assigned: Assigned, sizes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (row, empty cluster that it moves to) for each empty cluster, and update ``sizes``."""
    empty, labels = np.flatnonzero(sizes == 0), assigned.labels
    relocated: list[tuple[int, int]] = []
    farthest_first = iter(np.argsort(-assigned.squared, kind="stable").tolist() if len(empty) else [])
    for cluster in empty.tolist():
        # The only row of a cluster must stay there.
        row = next((row for row in farthest_first if sizes[labels[row]] > 1), None)
        if row is None:
            break
        sizes[labels[row]] -= 1
        sizes[cluster] += 1
        relocated.append((row, cluster))
    return relocated


@kernel(nogil=True)
def _distances_to(chosen, by_row, by_column, norms, closest, distances):  # type: ignore[no-untyped-def]
    """Set distances[t, i] = min(closest[i], |row i - row chosen[t]|²)."""
    row_starts, columns, values = by_row
    starts, owners, weights = by_column
    for t in range(len(chosen)):
        products = distances[t]
        products[:] = 0.0
        for at in range(row_starts[chosen[t]], row_starts[chosen[t] + 1]):
            for posting in range(starts[columns[at]], starts[columns[at] + 1]):
                products[owners[posting]] += np.float64(values[at]) * np.float64(weights[posting])
        for i in range(len(norms)):
            products[i] = min(closest[i], max(norms[i] + norms[chosen[t]] - 2 * products[i], 0.0))
        products[chosen[t]] = 0.0


@kernel(nogil=True)
def _sum_members_of(rows, members, width, scale, begin, end, lengths, out_columns, out_sums):  # type: ignore[no-untyped-def]
    """Add up the members of the clusters begin to end."""
    row_starts, columns, values = rows
    order, starts, offsets = members
    sums = np.zeros(width, dtype=np.int64)
    seen = np.zeros(width, dtype=np.bool_)
    for cluster in range(begin, end):
        first, entries = offsets[cluster], 0
        for row in order[starts[cluster] : starts[cluster + 1]]:
            for at in range(row_starts[row], row_starts[row + 1]):
                column = columns[at]
                if not seen[column]:
                    seen[column] = True
                    out_columns[first + entries] = column
                    entries += 1
                sums[column] += np.int64(np.rint(np.float64(values[at]) * scale))
        out_columns[first : first + entries].sort()
        for i in range(first, first + entries):
            out_sums[i] = sums[out_columns[i]]
            sums[out_columns[i]] = 0
            seen[out_columns[i]] = False
        lengths[cluster] = entries


@kernel(parallel=True, nogil=True)
def _sum_members(rows, members, width, scale, pieces, lengths, out_columns, out_sums):  # type: ignore[no-untyped-def]
    """Set each cluster's number of entries and, at its offset, their columns and sums in units of 1 / scale."""
    k = len(lengths)
    for piece in prange(pieces):
        begin, end = piece * k // pieces, (piece + 1) * k // pieces
        _sum_members_of(rows, members, width, scale, begin, end, lengths, out_columns, out_sums)
