"""Nearest-centroid search with torch on a GPU, with the same bits as ``InvertedIndex.nearest``.

A comment is a weighted bag of words: its scores are ``embedding_bag`` with the centroids as table, 32-bit sums in the
device's order. If only one centroid lies within the rounding error of the best, it is the nearest; the few rows with
several candidates, and the distances of all rows, go through the compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

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
        margins = self.index.margins(rows).astype(np.float32)
        labels = np.empty(rows.shape[0], dtype=np.int32)
        certain = np.empty(rows.shape[0], dtype=bool)
        step = max(1, SCORES_BYTES // (4 * self.table.shape[1]))
        for start in range(0, rows.shape[0], step):
            part = slice(start, min(start + step, rows.shape[0]))
            best, single = _best(rows[part], self.table, self.half_norms, margins[part])
            labels[part], certain[part] = best.cpu().numpy(), single.cpu().numpy()
        squared = self.index.squared_to(rows, labels, threads=threads)
        uncertain = np.flatnonzero(~certain)
        if len(uncertain):
            labels[uncertain], squared[uncertain] = self.index.nearest(rows[uncertain], threads=threads)
        return labels, squared


def _best(
    rows: sparse.csr_matrix, table: torch.Tensor, half_norms: torch.Tensor, margins: npt.NDArray[np.float32]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (best centroid of each row, True if no other lies within the row's margin), each (n,)."""
    import torch

    arrays = (
        rows.indices.astype(np.int64),
        rows.indptr.astype(np.int64),
        rows.data.astype(np.float32),
        margins,
    )
    words, starts, weights, margin = (torch.from_numpy(array).to(table.device) for array in arrays)
    scores = torch.nn.functional.embedding_bag(
        words, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
    scores -= half_norms
    best, labels = scores.max(dim=1)
    return labels, (scores >= (best - margin)[:, None]).sum(dim=1) == 1
