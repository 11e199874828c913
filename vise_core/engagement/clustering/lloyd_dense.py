"""Lloyd's k-means over dense rows, with the steps of ``lloyd``: exact labels, and sums of members as integers.

The result has the same bits for any number of threads (``docs/reference/numerics.md``).
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
from numba import prange

from vise_core.kernels import kernel
from vise_core.threads import compiled_threads

from .dense import DenseIndex
from .inverted import PIECES_PER_THREAD
from .lloyd import Assigned, OnPass, fraction_bits, init_sample, iterate, relocated_rows
from .nearest_torch import DenseTorchIndex


def fit_dense(
    rows: npt.NDArray[np.float32],
    k: int,
    seed: int,
    *,
    max_iter: int,
    tol: float,
    spherical: bool = False,
    threads: int | None = None,
    on_pass: OnPass | None = None,
    device: str = "cpu",
) -> tuple[npt.NDArray[np.float32], int]:
    """Fit k-means to (n, d) float32 rows and return (centroids (k, d) float32, passes made).

    The parameters are those of ``lloyd.fit_sparse``. Threads and device change no bit of the result.
    """
    threads = threads or os.cpu_count() or 1
    random = np.random.RandomState(seed)
    rows = np.ascontiguousarray(rows, np.float32)
    if spherical:
        rows = unit_dense(rows)
    bits = fraction_bits(rows)

    def make_pass(centroids: npt.NDArray[np.float32]) -> Assigned:
        index = DenseIndex.build(centroids)
        searcher = index if device == "cpu" else DenseTorchIndex.of(index, device)
        labels, squared = searcher.nearest(rows, threads=threads)
        return Assigned(labels, squared, dense_sums(rows, labels, k, bits=bits, threads=threads))

    def move(assigned: Assigned) -> npt.NDArray[np.float32]:
        means = dense_means(rows, assigned, bits)
        return unit_dense(means) if spherical else means

    sample = init_sample(rows, k, random)
    centroids = sample[plus_plus_dense(sample, k, random, threads=threads)]
    tolerance = tol * mean_variance(rows)
    return iterate(centroids, make_pass, move, max_iter=max_iter, tolerance=tolerance, on_pass=on_pass)


def unit_dense(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the (n, d) rows scaled to L2 norm 1, as float32; rows of zeros stay."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms == 0, 1, norms), np.float32)


def mean_variance(rows: npt.NDArray[np.float32]) -> float:
    """Return the mean of the variances of the columns of (n, d) rows, in 64 bits but without a copy of all rows."""
    means, step = rows.mean(axis=0, dtype=np.float64), 2**13
    parts = [np.square(rows[start : start + step] - means).sum() for start in range(0, len(rows), step)]
    return float(np.sum(parts) / rows.size)


def plus_plus_dense(
    rows: npt.NDArray[np.float32], k: int, random: np.random.RandomState, *, threads: int = 1
) -> npt.NDArray[np.int64]:
    """Return the indices of k of (n, d) rows, chosen by greedy k-means++ with the draws of ``lloyd.plus_plus``."""
    n = len(rows)
    trials = 2 + int(np.log(k))
    chosen = np.empty(k, dtype=np.int64)
    chosen[0] = random.choice(n, p=np.full(n, 1 / n))
    closest = np.full(n, np.inf)
    distances = np.empty((trials, n))
    with compiled_threads(threads):
        _distances_to(rows[chosen[:1]], rows, closest, distances)
        closest[:] = distances[0]
        potential = closest.sum()
        for i in range(1, k):
            drawn = np.searchsorted(np.cumsum(closest), random.uniform(size=trials) * potential)
            np.clip(drawn, None, n - 1, out=drawn)
            _distances_to(rows[drawn], rows, closest, distances)
            potentials = distances.sum(axis=1)
            best = int(potentials.argmin())
            chosen[i], potential = drawn[best], potentials[best]
            closest[:] = distances[best]
    return chosen


def dense_sums(
    rows: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], k: int, *, bits: int, threads: int = 1
) -> npt.NDArray[np.int64]:
    """Add up the rows of each cluster in units of 2**-bits: (k, d) int64."""
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=k))])
    sums = np.zeros((k, rows.shape[1]), dtype=np.int64)
    with compiled_threads(threads):
        _sum_members(rows, order, starts, np.ldexp(1.0, bits), PIECES_PER_THREAD * threads, sums)
    return sums


def dense_means(rows: npt.NDArray[np.float32], assigned: Assigned, bits: int) -> npt.NDArray[np.float32]:
    """Return the mean of the rows of each cluster, (k, d) float32.

    An empty cluster gets the row that is farthest from its centroid; that row leaves its old cluster (method 7, trap 8).
    """
    sums = assigned.sums.copy()
    sizes = np.bincount(assigned.labels, minlength=len(sums))
    for row, cluster in relocated_rows(assigned, sizes):
        units = np.rint(np.ldexp(rows[row].astype(np.float64), bits)).astype(np.int64)
        sums[cluster] += units
        sums[assigned.labels[row]] -= units
    means = np.ldexp(sums.astype(np.float64), -bits) / np.maximum(sizes, 1)[:, None]
    return np.asarray(means, np.float32)


# Its order of sums is the compiler's, the same for each row whichever thread computes it.
@kernel(fastmath={"reassoc", "contract"}, nogil=True)
def _squared_in_32_bits(row, other):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for j in range(len(row)):
        difference = row[j] - other[j]
        total += difference * difference
    return total


@kernel(parallel=True, nogil=True)
def _distances_to(picked, rows, closest, distances):  # type: ignore[no-untyped-def]
    """Set distances[t, i] = min(closest[i], |row i - picked[t]|²). Differences, so that equal rows are 0 apart."""
    for i in prange(len(rows)):
        for t in range(len(picked)):
            distances[t, i] = min(np.float64(_squared_in_32_bits(rows[i], picked[t])), closest[i])


@kernel(parallel=True, nogil=True)
def _sum_members(rows, order, starts, scale, pieces, sums):  # type: ignore[no-untyped-def]
    """Add the members of each cluster, in units of 1 / scale, to ``sums``."""
    k, d = sums.shape
    for piece in prange(pieces):
        for cluster in range(piece * k // pieces, (piece + 1) * k // pieces):
            for at in range(starts[cluster], starts[cluster + 1]):
                row = rows[order[at]]
                for j in range(d):
                    sums[cluster, j] += np.int64(np.rint(np.float64(row[j]) * scale))
