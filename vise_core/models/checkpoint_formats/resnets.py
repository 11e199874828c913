"""Recognise a ResNet from tensors in torchvision's names."""

from __future__ import annotations

from vise_core.errors import BadCheckpoint

from .contents import Tensors

BY_SHAPE = {
    # (convolutions a block, blocks in layer3, inputs a group of layer1's 3x3, its outputs)
    (2, 2, 64, 64): "resnet18",
    (2, 6, 64, 64): "resnet34",
    (3, 6, 64, 64): "resnet50",
    (3, 23, 64, 64): "resnet101",
    (3, 23, 16, 512): "resnext101_32x16d",
}


def which_resnet(trunk: Tensors) -> str | None:
    """Return the ResNet's name in BACKBONES, None for any other network."""
    second = trunk.get("layer1.0.conv2.weight")
    if second is None or second.ndim != 4:
        return None
    convolutions = 3 if "layer1.0.conv3.weight" in trunk else 2
    blocks = 0
    while f"layer3.{blocks}.conv1.weight" in trunk:
        blocks += 1
    return BY_SHAPE.get((convolutions, blocks, second.shape[1], second.shape[0]))


def resnet_of(trunk: Tensors) -> str:
    """Return the ResNet's name in BACKBONES. Raises BadCheckpoint for any other network."""
    resnet = which_resnet(trunk)
    if resnet is None:
        raise BadCheckpoint(f"not a ResNet that is known here; those are {', '.join(BY_SHAPE.values())}")
    return resnet
