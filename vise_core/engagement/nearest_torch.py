"""The nearest of many sparse centroids by torch, on a GPU: the labels and distances of ``InvertedIndex.nearest``, bit for bit.

A comment is a weighted bag of words, so its scores are what ``embedding_bag`` gives with the centroids as table. They
are 32-bit sums in whatever order the device takes; where only one centroid can be the nearest within their rounding
error it is, and the few rows with several go through the compiled code. Distances are computed there for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .inverted import InvertedIndex

if TYPE_CHECKING:
    import torch

SCORES_BYTES = 256 * 2**20
"""Memory on the device for the scores of the rows that it looks at together."""


def nearest_on(
    device: str,
    rows: sparse.csr_matrix,
    centroids: sparse.csr_matrix,
    index: InvertedIndex,
    *,
    threads: int = 1,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """(labels (n,) int32, squared distances (n,) float64) of (n, d) float32 rows; ties: the lowest id.

    ``index`` is that of the (k, d) centroids, which take 4 k d bytes on the device.
    """
    # Here, not above: what runs on a CPU must not wait for torch.
    import torch

    table = torch.from_numpy(np.ascontiguousarray(centroids.toarray().T)).to(device)
    halves = torch.from_numpy(index.half_norms.astype(np.float32)).to(device)
    margins = index.margins(rows).astype(np.float32)
    labels = np.empty(rows.shape[0], dtype=np.int32)
    alone = np.empty(rows.shape[0], dtype=bool)
    step = max(1, SCORES_BYTES // (4 * centroids.shape[0]))
    for start in range(0, rows.shape[0], step):
        part = slice(start, min(start + step, rows.shape[0]))
        found, single = _best(rows[part], table, halves, torch.from_numpy(margins[part]).to(device))
        labels[part], alone[part] = found.cpu().numpy(), single.cpu().numpy()
    squared = index.squared_to(rows, labels, threads=threads)
    unsure = np.flatnonzero(~alone)
    if len(unsure):
        labels[unsure], squared[unsure] = index.nearest(rows[unsure], threads=threads)
    return labels, squared


def _best(
    rows: sparse.csr_matrix, table: torch.Tensor, halves: torch.Tensor, margins: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(best centroid of each row, whether no other comes within the row's margin)."""
    import torch

    words, starts, weights = (
        torch.from_numpy(array).to(table.device)
        for array in (
            rows.indices.astype(np.int64),
            rows.indptr.astype(np.int64),
            rows.data.astype(np.float32),
        )
    )
    scores = torch.nn.functional.embedding_bag(
        words, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
    scores -= halves
    best, labels = scores.max(dim=1)
    return labels, (scores >= (best - margins)[:, None]).sum(dim=1) == 1
