"""facebookresearch/WSL-Images: ResNeXt-101 32x16d, the paper's IG-940M-IN (Mahajan et al. 2018)."""

from __future__ import annotations

from vise_core.errors import BadCheckpoint

from .contents import Contents, Tensors
from .format import Format, KnownFile
from .in_sup import IMAGENET_CLASSIFIER, has_classifier
from .networks import only_network
from .resnets import resnet_of, which_resnet


def _fits(contents: Contents) -> bool:
    return has_classifier(trunk := only_network(contents)) and which_resnet(trunk) == "resnext101_32x16d"


def _backbone(trunk: Tensors) -> str:
    if (resnet := resnet_of(trunk)) != "resnext101_32x16d":
        raise BadCheckpoint(f"of WSL-Images only resnext101_32x16d is known here, not {resnet}")
    return resnet


FORMAT = Format(
    name="wsl-images",
    title="WSL-Images ResNeXt-101 32x16d",
    row="IG-940M-IN",
    fits=_fits,
    backbone=_backbone,
    drops=IMAGENET_CLASSIFIER,
    licence="CC-BY-NC-4.0",
    trained_on="940M Instagram images with 1.5K hashtags, then fine-tuned on ImageNet-1K",
    source="facebookresearch/WSL-Images@c4dac64 hubconf.py",
    torchvision=True,
    files=(
        KnownFile(
            name="ig_resnext101_32x16-c6f796b0.pth",
            url="https://download.pytorch.org/models/ig_resnext101_32x16-c6f796b0.pth",
            sha256="c6f796b0",
        ),
    ),
    notes=("fine-tuned on ImageNet-1K after the hashtags, as published; not the hashtag model itself",),
)
