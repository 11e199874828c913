"""Backbones behind one interface: image → feature map → feature vector."""

from __future__ import annotations

import importlib
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vise_core.specs.models.backbones import BACKBONES

RGB = tuple[float, float, float]


class Backbone(nn.Module):
    """A trunk without a head, with the normalisation and sizes of its input.

    Attributes
    ----------
    name: key of ``specs.models.backbones.BACKBONES``.
    feature_dim: length of the pooled feature.
    mean, std: what images in [0, 1] RGB are normalised with. They belong to the weights, so that a
        loader may replace them (method 7, trap 4).
    image_size, resize: crop and shorter side that the network is evaluated at by default.
    trunk: the network itself, under the names of the package that defines it (torchvision, timm).
    """

    def __init__(self, name: str, trunk: nn.Module) -> None:
        super().__init__()
        entry = BACKBONES[name]
        self.name = name
        self.feature_dim = entry.feature_dim
        self.mean: RGB = entry.mean
        self.std: RGB = entry.std
        self.image_size = entry.image_size
        self.resize = entry.resize
        self.trunk = trunk

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (n, 3, height, width) to feature maps (n, feature_dim, h, w)."""
        return cast(Tensor, self.trunk.forward_features(x))  # type: ignore[operator]

    def pool(self, features: Tensor) -> Tensor:
        """Average feature maps (n, feature_dim, h, w) over positions, to (n, feature_dim)."""
        return F.adaptive_avg_pool2d(features, 1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 3, height, width) to features (n, feature_dim)."""
        return self.pool(self.forward_features(x))


def build_backbone(name: str, seed: int | None = None) -> Backbone:
    """Build an untrained backbone, float32 on the CPU.

    With a seed, the weights are reproducible and the global random state is left as it was. Raises KeyError for a
    name that is not in BACKBONES.
    """
    if seed is None:
        return Backbone(name, _build_trunk(name))
    # Weights are drawn on the CPU, so only its generator has to be put back.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Backbone(name, _build_trunk(name))


def empty_backbone(name: str) -> Backbone:
    """Build a backbone on the meta device: names and shapes without memory, to be filled from a file."""
    with torch.device("meta"):
        return Backbone(name, _build_trunk(name))


def _build_trunk(name: str) -> nn.Module:
    module, function = BACKBONES[name].builder.split(":")
    trunk: nn.Module = getattr(importlib.import_module(module), function)()
    return trunk
