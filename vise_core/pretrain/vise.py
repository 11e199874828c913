"""VisE's own objective: one linear head for each signal on the pooled feature (Sec. 3.3)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vise_core.models.backbones import Backbone, build_backbone
from vise_core.models.heads import linear_head
from vise_core.specs.pretrain import PretrainSpec, Signal

from .labels import Ints, LabelTable
from .objective import head_losses


class Network(nn.Module):
    """A backbone with one linear head for each signal: (n, 3, h, w) images → {signal: (n, clusters) logits}."""

    def __init__(self, backbone: Backbone, heads: Mapping[str, nn.Linear]) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(dict(heads))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map images (n, 3, h, w) to {signal: (n, clusters) logits}."""
        features = self.backbone(images)
        return {name: head(features) for name, head in self.heads.items()}


def build_vise(spec: PretrainSpec, clusters: Mapping[Signal, int]) -> Network:
    """Return the untrained network; its weights depend on the seed alone."""
    backbone = build_backbone(spec.backbone, seed=spec.seed)
    heads: dict[str, nn.Linear] = {
        signal: linear_head(backbone.feature_dim, clusters[signal], spec.bias_prior, seed=spec.seed)
        for signal in spec.signals
    }
    return Network(backbone, heads)


def vise_losses(
    logits: Mapping[str, Tensor], spec: PretrainSpec, labels: LabelTable, rows: Ints, part: Ints
) -> dict[str, Tensor]:
    """Return the loss of each head, a scalar, on ``part`` of a batch; the losses of all parts add up to the batch's.

    ``logits``: (len(part), clusters) of each head. ``rows`` and ``part``: int64 rows of ``labels`` of the whole batch
    and of the part.
    """
    targets = labels.targets(part, spec.signals, spec.comment_targets)
    # Every process knows the whole batch, so all divide by the same counts without communicating.
    return head_losses(
        logits,
        {name: _to_device(target, logits[name].device) for name, target in targets.items()},
        labels.labelled(rows),
    )


def _to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return a copy on the device, pinned first: a copy from pageable memory waits until the GPU is idle."""
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
