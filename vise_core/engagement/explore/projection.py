"""A map of clusters: centroids projected on their first two principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import eigsh
from threadpoolctl import threadpool_limits

from vise_core.engagement.clustering.kmeans import Rows

_SMALL = 1500
"""Up to so many points, all components are computed by a direct solver."""


@dataclass(frozen=True)
class Plane:
    """Projected points.

    Attributes
    ----------
    points: (n, 2) float64. explained: share of the variance on each axis.
    """

    points: npt.NDArray[np.float64]
    explained: tuple[float, float]


def principal_plane(rows: Rows) -> Plane:
    """Project (n, d) rows, sparse or dense, on their first two principal components.

    Computed from the n x n Gram matrix, since centroids of words have far more columns than rows. The sign of an axis
    is that of its farthest point, so that the same rows give the same map. Without a second axis its values are 0.
    """
    n = rows.shape[0]
    if n < 2:
        return Plane(np.zeros((n, 2)), (0.0, 0.0))
    # One thread, so that the order of sums and the map are the same on every machine.
    with threadpool_limits(limits=1):
        matrix = sparse.csr_matrix(rows, dtype=np.float64)
        products = np.asarray((matrix @ matrix.T).todense())
        means = products.mean(axis=0)
        products += means.mean() - means[:, None] - means[None]
        total = float(np.trace(products))
        if n <= _SMALL:
            values, vectors = np.linalg.eigh(products)
        else:
            values, vectors = eigsh(products, k=2, v0=np.linspace(-1.0, 1.0, n))
    order = np.argsort(-values, kind="stable")[:2]
    values, vectors = np.maximum(values[order], 0), vectors[:, order]
    if total <= 1e-12 * max(1.0, float(np.abs(products).max())):
        return Plane(np.zeros((n, 2)), (0.0, 0.0))
    values = np.where(values > 1e-12 * total, values, 0)
    points = vectors * np.sqrt(values)
    points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    return Plane(points, (float(values[0] / total), float(values[1] / total)))
