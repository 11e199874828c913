"""The loss of VisE pretraining: L = L_C + L_R (Eq. 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

NO_LABEL = -1
"""The reaction label of a post that has none."""


def comment_targets(
    labels: Sequence[Sequence[int]], clusters: int, mode: Literal["frequency", "unique"] = "frequency"
) -> Tensor:
    """Return the target distribution over comment clusters of each image, (n, clusters) float32.

    frequency: a cluster hit m times among an image's n labels carries m/n (Mahajan et al. 2018).
    unique: every cluster hit carries the same mass. An image without a label gets a row of zeros.
    """
    rows = torch.repeat_interleave(torch.tensor([len(ids) for ids in labels], dtype=torch.int64))
    ids = torch.tensor([i for image in labels for i in image], dtype=torch.int64)
    cells = rows * clusters + ids
    if mode == "unique":
        cells = cells.unique()
    hits = torch.zeros(len(labels) * clusters).index_add_(0, cells, torch.ones(len(cells)))
    hits = hits.view(len(labels), clusters)
    return hits / hits.sum(1, keepdim=True).clamp(min=1)


def soft_cross_entropy(logits: Tensor, targets: Tensor, labelled: int | None = None) -> Tensor:
    """Return L_C, the cross-entropy with soft targets averaged over images (method 7, trap 1), scalar.

    ``logits`` and ``targets`` are (n, k). Images whose target is all zeros have no label and are
    masked out. ``labelled`` is the number of images to average over; None: the labelled images of this batch.
    The parts of a split batch are divided by the count of the whole batch.
    """
    if labelled is None:
        labelled = int((targets.sum(1) > 0).sum())
    return -(targets * F.log_softmax(logits.float(), 1)).sum() / max(labelled, 1)


def hard_cross_entropy(logits: Tensor, labels: Tensor, labelled: int | None = None) -> Tensor:
    """Return L_R, the mean cross-entropy of (n, k) logits and (n,) int64 labels with NO_LABEL masked out, scalar."""
    if labelled is None:
        labelled = int((labels != NO_LABEL).sum())
    return F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="sum") / max(labelled, 1)


def head_losses(
    logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], labelled: Mapping[str, int]
) -> dict[str, Tensor]:
    """Return the loss of each head, whose sum is Eq. 1. A head's targets are soft (n, k) or labels (n,)."""
    return {
        name: (soft_cross_entropy if targets[name].dim() == 2 else hard_cross_entropy)(
            output, targets[name], labelled[name]
        )
        for name, output in logits.items()
    }
