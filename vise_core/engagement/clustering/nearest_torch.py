"""The nearest of many sparse centroids by torch, on a GPU: the labels and distances of ``InvertedIndex.nearest``, bit for bit.

A comment is a weighted bag of words, so its scores are what ``embedding_bag`` gives with the centroids as table. They
are 32-bit sums in whatever order the device takes; where only one centroid can be the nearest within their rounding
error it is, and the few rows with several go through the compiled code. Distances are computed there for all.
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
"""Memory on the device for the scores of the rows that it looks at together; comparing them takes as much again."""


@dataclass(frozen=True)
class TorchIndex:
    """Centroids on a device; finds what ``index`` finds.

    Attributes
    ----------
    index: the same (k, d) centroids by term, in memory.
    table: (d, k) float32 on the device. half_norms: (k,) float32 there.
    """

    index: InvertedIndex
    table: torch.Tensor
    half_norms: torch.Tensor

    @classmethod
    def build(cls, centroids: sparse.csr_matrix, device: str) -> TorchIndex:
        # Here, not above: what runs on a CPU must not wait for torch.
        import torch

        index = InvertedIndex.build(centroids)
        table = torch.from_numpy(np.ascontiguousarray(centroids.toarray().T)).to(device)
        return cls(index, table, torch.from_numpy(index.half_norms.astype(np.float32)).to(device))

    def nearest(
        self, rows: sparse.csr_matrix, *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """(labels (n,) int32, squared distances (n,) float64) of (n, d) float32 rows; ties: the lowest id."""
        margins = self.index.margins(rows).astype(np.float32)
        labels = np.empty(rows.shape[0], dtype=np.int32)
        alone = np.empty(rows.shape[0], dtype=bool)
        step = max(1, SCORES_BYTES // (4 * self.table.shape[1]))
        for start in range(0, rows.shape[0], step):
            part = slice(start, min(start + step, rows.shape[0]))
            found, single = _best(rows[part], self.table, self.half_norms, margins[part])
            labels[part], alone[part] = found.cpu().numpy(), single.cpu().numpy()
        squared = self.index.squared_to(rows, labels, threads=threads)
        unsure = np.flatnonzero(~alone)
        if len(unsure):
            labels[unsure], squared[unsure] = self.index.nearest(rows[unsure], threads=threads)
        return labels, squared


def _best(
    rows: sparse.csr_matrix, table: torch.Tensor, half_norms: torch.Tensor, margins: npt.NDArray[np.float32]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(best centroid of each row, whether no other comes within the row's margin)."""
    import torch

    given = (
        rows.indices.astype(np.int64),
        rows.indptr.astype(np.int64),
        rows.data.astype(np.float32),
        margins,
    )
    words, starts, weights, below = (torch.from_numpy(array).to(table.device) for array in given)
    scores = torch.nn.functional.embedding_bag(
        words, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
    scores -= half_norms
    best, labels = scores.max(dim=1)
    return labels, (scores >= (best - below)[:, None]).sum(dim=1) == 1
