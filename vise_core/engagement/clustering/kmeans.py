"""k-means over sparse or dense rows: fitting, and the nearest centroid.

Sparse rows (words) go through ``lloyd`` and ``inverted``, dense rows through ``lloyd_dense`` and ``dense``, and
mini-batches through scikit-learn. The same rows and seed give the same bits with any number of cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import threadpool_limits

from vise_core.errors import BadInput
from vise_core.specs.cluster import KMeansSpec

from .csr import unit_rows
from .dense import DenseIndex
from .inverted import InvertedIndex
from .lloyd import Distribute, OnPass, fit_sparse
from .lloyd_dense import fit_dense, unit_dense

Rows = Any
"""(n, d) float32: a scipy CSR matrix or a numpy array."""
Centroids = Any
"""(k, d) float32: CSR where the rows are sparse, else a numpy array."""


@dataclass(frozen=True)
class Clustering:
    """A fitted k-means.

    Attributes
    ----------
    centroids: (k, d) float32. labels: (n,) int32. inertia: sum of squared distances. iterations: passes made.
    """

    centroids: Centroids
    labels: npt.NDArray[np.int32]
    inertia: float
    iterations: int


@dataclass(frozen=True)
class PassOptions:
    """Options of Lloyd's passes (``lloyd.fit_sparse``), which do not change a bit of the result.

    Attributes
    ----------
    device: cpu or cuda. on_pass: called after each pass, may raise.
    distribute: shares passes over sparse rows with other processes.
    """

    device: str = "cpu"
    on_pass: OnPass | None = None
    distribute: Distribute | None = None


def fit_kmeans(
    rows: Rows, spec: KMeansSpec, seed: int, name: str, options: PassOptions = PassOptions()
) -> Clustering:
    """Cluster (n, d) float32 rows. ``name`` is the part of the spec that errors point to, such as ``comments``.

    Raises BadInput if there are fewer distinct rows than clusters, or a row is not finite.
    """
    if not np.isfinite(rows.data if sparse.issparse(rows) else rows).all():
        raise BadInput(
            f"{name}: the features hold NaN or infinity and cannot be clustered: check the extractor"
        )
    if spec.algorithm == "spherical":
        rows = unit_rows(rows) if sparse.issparse(rows) else unit_dense(rows)
    distinct = _distinct_rows(rows, spec.k)
    if distinct < spec.k:
        raise BadInput(
            f"{name}.kmeans.k is {spec.k}, but the cluster subset has only {distinct} distinct rows: "
            f"set {name}.kmeans.k to at most {distinct}, or give more posts or a larger subset.cluster_fraction"
        )
    # One thread for scikit-learn's mini-batches, so that the order of sums is fixed.
    with threadpool_limits(limits=1):
        centroids, iterations = ALGORITHMS[spec.algorithm](rows, spec, seed, options)
        centroids, labels, squared = _without_empty(rows, centroids)
    return Clustering(centroids, labels, float(squared.sum()), iterations)


def nearest_centroid(
    rows: Rows, centroids: Centroids, *, threads: int = 1
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Return (labels (n,) int32, squared distances (n,) float64); ties go to the lowest cluster id."""
    index = InvertedIndex if sparse.issparse(rows) else DenseIndex
    return index.build(centroids).nearest(rows, threads=threads)


def dense_rows(centroids: Centroids) -> Iterator[npt.NDArray[np.float32]]:
    """Yield each centroid as a dense row, (d,) float32."""
    for i in range(centroids.shape[0]):
        yield centroids[[i]].toarray()[0] if sparse.issparse(centroids) else centroids[i]


def _without_empty(
    rows: Rows, centroids: Centroids
) -> tuple[Centroids, npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Return centroids without an empty cluster, with labels and squared distances.

    Trap 8: mini-batches, and the last step of any algorithm, may leave a cluster empty. Its centroid becomes the row
    that is farthest from the row's own centroid.
    """
    threads, k = os.cpu_count() or 1, centroids.shape[0]
    labels, squared = nearest_centroid(rows, centroids, threads=threads)
    for _ in range(k):
        empty = np.flatnonzero(np.bincount(labels, minlength=k) == 0)
        if len(empty) == 0:
            break
        centroids = _with_row(centroids, int(empty[0]), rows[[int(np.argmax(squared))]])
        labels, squared = nearest_centroid(rows, centroids, threads=threads)
    return centroids, labels, squared


def _with_row(centroids: Centroids, cluster: int, row: Rows) -> Centroids:
    if sparse.issparse(centroids):
        parts = [centroids[:cluster], row, centroids[cluster + 1 :]]
        return sparse.csr_matrix(sparse.vstack(parts), dtype=np.float32)
    changed = centroids.copy()
    changed[cluster] = row[0]
    return changed


def _lloyd(rows: Rows, spec: KMeansSpec, seed: int, options: PassOptions) -> tuple[Centroids, int]:
    return _fit(rows, spec, seed, options, spherical=False)


def _spherical(rows: Rows, spec: KMeansSpec, seed: int, options: PassOptions) -> tuple[Centroids, int]:
    return _fit(rows, spec, seed, options, spherical=True)


def _fit(
    rows: Rows, spec: KMeansSpec, seed: int, options: PassOptions, *, spherical: bool
) -> tuple[Centroids, int]:
    settings: dict[str, Any] = {
        "max_iter": spec.max_iter,
        "tol": spec.tol,
        "spherical": spherical,
        "on_pass": options.on_pass,
        "device": options.device,
    }
    if sparse.issparse(rows):
        return fit_sparse(rows, spec.k, seed, distribute=options.distribute, **settings)
    return fit_dense(rows, spec.k, seed, **settings)


def _minibatch(rows: Rows, spec: KMeansSpec, seed: int, _: PassOptions) -> tuple[Centroids, int]:
    from sklearn.cluster import MiniBatchKMeans

    batch = max(1024, 3 * spec.k)
    model = MiniBatchKMeans(
        spec.k, n_init=1, max_iter=spec.max_iter, tol=spec.tol, batch_size=batch, random_state=seed
    ).fit(rows)
    centroids = model.cluster_centers_.astype(np.float32)
    return sparse.csr_matrix(centroids) if sparse.issparse(rows) else centroids, int(model.n_iter_)


ALGORITHMS: dict[str, Callable[[Rows, KMeansSpec, int, PassOptions], tuple[Centroids, int]]] = {
    "kmeans": _lloyd,
    "minibatch": _minibatch,
    "spherical": _spherical,
}


def _distinct_rows(rows: Rows, most: int) -> int:
    """Return the number of distinct rows, or ``most`` if there are more."""
    seen: set[bytes] = set()
    for i in range(rows.shape[0]):
        if sparse.issparse(rows):
            part = slice(rows.indptr[i], rows.indptr[i + 1])
            seen.add(rows.indices[part].tobytes() + rows.data[part].tobytes())
        else:
            seen.add(rows[i].tobytes())
        if len(seen) >= most:
            break
    return len(seen)
