"""Nearest-centroid search with torch on a GPU, with the same bits as ``InvertedIndex`` and ``DenseIndex``.

A comment is a weighted bag of words: its scores are ``embedding_bag`` with the centroids as table, 32-bit sums in the
device's order; those of dense rows are a matrix product. If only one centroid lies within the rounding error of the
best, it is the nearest; the few rows with several candidates, and the distances of all rows, go through the compiled
code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .dense import DenseIndex
from .inverted import InvertedIndex

if TYPE_CHECKING:
    import torch

SCORES_BYTES = 256 * 2**20
"""Device memory for the scores of one batch of rows; comparing them takes as much again."""


@dataclass(frozen=True)
class TorchIndex:
    """Centroids on a device.

    Attributes
    ----------
    index: the (k, d) centroids by term, in main memory.
    table: (d, k) float32, the centroids on the device. half_norms: (k,) float32, on the device.
    """

    index: InvertedIndex
    table: torch.Tensor
    half_norms: torch.Tensor

    @classmethod
    def build(cls, centroids: sparse.csr_matrix, device: str) -> TorchIndex:
        """Put (k, d) centroids on ``device``."""
        # Imported here, since a run on a CPU does not need torch.
        import torch

        index = InvertedIndex.build(centroids)
        table = torch.from_numpy(np.ascontiguousarray(centroids.toarray().T)).to(device)
        return cls(index, table, torch.from_numpy(index.half_norms.astype(np.float32)).to(device))

    def nearest(
        self, rows: sparse.csr_matrix, *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return (labels, squared distances) with the same bits as ``InvertedIndex.nearest``."""
        return _nearest(self.index, self._scores, self.table.shape[1], rows, threads)

    def _scores(self, rows: sparse.csr_matrix) -> torch.Tensor:
        import torch

        arrays = (rows.indices.astype(np.int64), rows.indptr.astype(np.int64), rows.data.astype(np.float32))
        words, starts, weights = (torch.from_numpy(array).to(self.table.device) for array in arrays)
        scores = torch.nn.functional.embedding_bag(
            words, self.table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
        )
        return scores.sub_(self.half_norms)


@dataclass(frozen=True)
class DenseTorchIndex:
    """Centroids for dense rows on a device.

    Attributes
    ----------
    index: the (k, d) centroids in main memory. table: (d, k) float32. half_norms: (k,) float32. Both on the device.
    """

    index: DenseIndex
    table: torch.Tensor
    half_norms: torch.Tensor

    @classmethod
    def of(cls, index: DenseIndex, device: str) -> DenseTorchIndex:
        """Put the centroids on ``device``."""
        import torch

        k = len(index.centroids)
        table, half_norms = np.ascontiguousarray(index.table[:, :k]), index.half_norms[:k].copy()
        return cls(index, torch.from_numpy(table).to(device), torch.from_numpy(half_norms).to(device))

    def nearest(
        self, rows: npt.NDArray[np.float32], *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return (labels, squared distances) with the same bits as ``DenseIndex.nearest``."""
        import torch

        # The bound of the error is that of 32-bit products, whatever the process has allowed for its training.
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            return _nearest(self.index, self._scores, self.table.shape[1], rows, threads)
        finally:
            torch.set_float32_matmul_precision(precision)

    def _scores(self, rows: npt.NDArray[np.float32]) -> torch.Tensor:
        import torch

        return (torch.from_numpy(np.ascontiguousarray(rows)).to(self.table.device) @ self.table).sub_(
            self.half_norms
        )


def _nearest(
    index: InvertedIndex | DenseIndex,
    scores_of: Callable[[Any], torch.Tensor],
    k: int,
    rows: Any,
    threads: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Return (labels, squared distances) of (n, d) rows from their 32-bit scores, (n, k) on a device."""
    import torch

    # Rounded to 32 bits upwards: a margin must not shrink.
    margins = np.nextafter(index.margins(rows).astype(np.float32), np.float32(np.inf))
    labels = np.empty(rows.shape[0], dtype=np.int32)
    certain = np.empty(rows.shape[0], dtype=bool)
    step = max(1, SCORES_BYTES // (4 * k))
    for start in range(0, rows.shape[0], step):
        part = slice(start, min(start + step, rows.shape[0]))
        scores = scores_of(rows[part])
        best, nearest = scores.max(dim=1)
        margin = torch.from_numpy(margins[part]).to(scores.device)
        single = (scores >= (best - margin)[:, None]).sum(dim=1) == 1
        # An infinite margin, or scores that overflowed.
        single &= torch.isfinite(best - margin)
        labels[part], certain[part] = nearest.cpu().numpy(), single.cpu().numpy()
    squared = index.squared_to(rows, labels, threads=threads)
    uncertain = np.flatnonzero(~certain)
    if len(uncertain):
        labels[uncertain], squared[uncertain] = index.nearest(rows[uncertain], threads=threads)
    return labels, squared
