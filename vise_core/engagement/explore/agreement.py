"""How labels spread, and how much two kinds of labels tell about each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.formats.explorer import ClusterPair

Floats = npt.NDArray[np.float64]


def entropy(counts: npt.ArrayLike) -> float:
    """Shannon entropy of the shares, in bits; 0 without any count."""
    array = np.asarray(counts, dtype=np.float64)
    kept = array[array > 0]
    if not len(kept):
        return 0.0
    shares = kept / kept.sum()
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def normalised_entropy(counts: npt.ArrayLike) -> float:
    """Entropy over that of an even spread over all: 1 for even, 0 where all is in one, or nothing is there."""
    array = np.asarray(counts)
    return entropy(array) / float(np.log2(len(array))) if len(array) > 1 else 0.0


@dataclass(frozen=True)
class Agreement:
    """Of two kinds of labels over the same things.

    Attributes
    ----------
    total: weight of all pairs.
    mutual_information: in bits.
    nmi: mutual information over the mean of the two entropies, as scikit-learn's; 1 where either tells the other.
    chance: about the nmi that independent labels of this many clusters and pairs would have (Miller, Madow 1955).
    """

    total: float
    mutual_information: float
    nmi: float
    chance: float


def agreement(table: sparse.csr_matrix, things: float) -> Agreement:
    """From a contingency table (k_first, k_second) of weights. ``things`` are how many independent ones it counts."""
    total = float(table.sum())
    if total == 0:
        return Agreement(0.0, 0.0, 0.0, 0.0)
    rows, columns = _margins(table)
    terms = _information(table, rows, columns, total)
    # Rounding of many terms may leave a hair below zero.
    information = max(0.0, float(terms.sum()))
    mean = (entropy(rows) + entropy(columns)) / 2
    cells = (int((rows > 0).sum()) - 1) * (int((columns > 0).sum()) - 1)
    chance = cells / (2 * max(things, 1.0) * np.log(2))
    if mean == 0:
        return Agreement(total, information, 1.0, 1.0)
    return Agreement(total, information, information / mean, min(1.0, chance / mean))


def top_pairs(table: sparse.csr_matrix, most: int) -> list[ClusterPair]:
    """The cells that say most: by their share of the mutual information, then by indices."""
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
    """(cells,) p·log2(p / (p_row · p_column)) of each cell that is not empty, in the order of ``tocoo``."""
    cells = table.tocoo()
    shares = cells.data / total
    # Logarithms apart: the product of two small margins may leave what a float can hold.
    ratio = np.log2(shares) - np.log2(rows[cells.row] / total) - np.log2(columns[cells.col] / total)
    return np.asarray(shares * ratio)
