"""Entropy of labels, and mutual information of two kinds of labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.formats.explorer import ClusterPair

Floats = npt.NDArray[np.float64]


def entropy(counts: npt.ArrayLike) -> float:
    """Return the Shannon entropy of the shares of (n,) counts, in bits; 0 if all counts are 0."""
    array = np.asarray(counts, dtype=np.float64)
    kept = array[array > 0]
    if not len(kept):
        return 0.0
    shares = kept / kept.sum()
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def normalised_entropy(counts: npt.ArrayLike) -> float:
    """Return the entropy of (n,) counts, divided by log2 n: 1 if uniform, 0 if all is in one or there are none."""
    array = np.asarray(counts)
    return entropy(array) / float(np.log2(len(array))) if len(array) > 1 else 0.0


@dataclass(frozen=True)
class Agreement:
    """Agreement of two kinds of labels of the same items.

    Attributes
    ----------
    total: weight of all pairs.
    mutual_information: in bits.
    nmi: mutual information over the mean of the two entropies, as in scikit-learn; 1 if each label determines the other.
    chance: approximate nmi of independent labels with as many clusters and pairs (Miller, Madow 1955).
    """

    total: float
    mutual_information: float
    nmi: float
    chance: float


def agreement(table: sparse.csr_matrix, items: float) -> Agreement:
    """Return the agreement in a contingency table (k_first, k_second) of weights over ``items`` independent items."""
    total = float(table.sum())
    if total == 0:
        return Agreement(0.0, 0.0, 0.0, 0.0)
    rows, columns = _margins(table)
    terms = _information(table, rows, columns, total)
    # Rounding may leave a sum slightly below zero.
    information = max(0.0, float(terms.sum()))
    mean = (entropy(rows) + entropy(columns)) / 2
    cells = (int((rows > 0).sum()) - 1) * (int((columns > 0).sum()) - 1)
    chance = cells / (2 * max(items, 1.0) * np.log(2))
    if mean == 0:
        return Agreement(total, information, 1.0, 1.0)
    return Agreement(total, information, information / mean, min(1.0, chance / mean))


def top_pairs(table: sparse.csr_matrix, most: int) -> list[ClusterPair]:
    """Return the ``most`` cells with the largest shares of the mutual information; ties by indices.

    ``table``: the weight of each pair of clusters, (first kind, second kind).
    """
    total = float(table.sum())
    if total == 0:
        return []
    rows, columns = _margins(table)
    terms = _information(table, rows, columns, total)
    cells = table.tocoo()
    order = np.lexsort((cells.col, cells.row, -terms))[:most]
    pairs = []
    for i in order.tolist():
        first, second, weight = int(cells.row[i]), int(cells.col[i]), float(cells.data[i])
        expected = float(rows[first] * columns[second] / total)
        pairs.append(
            ClusterPair(first=first, second=second, weight=weight, expected=expected, lift=weight / expected)
        )
    return pairs


def _margins(table: sparse.csr_matrix) -> tuple[Floats, Floats]:
    return np.asarray(table.sum(axis=1)).ravel(), np.asarray(table.sum(axis=0)).ravel()


def _information(table: sparse.csr_matrix, rows: Floats, columns: Floats, total: float) -> Floats:
    """Return p·log2(p / (p_row · p_column)) of each non-empty cell, (cells,), in the order of ``tocoo``."""
    cells = table.tocoo()
    shares = cells.data / total
    # Separate logarithms: the product of two small margins may underflow.
    ratio = np.log2(shares) - np.log2(rows[cells.row] / total) - np.log2(columns[cells.col] / total)
    return np.asarray(shares * ratio)
