"""facebookresearch/WSL-Images: ResNeXt-101 32x16d, the paper's IG-940M-IN (Mahajan et al. 2018)."""

from __future__ import annotations

from vise_core.specs.backbones import IMAGENET_MEAN, IMAGENET_STD

from .contents import Contents
from .format import Drop, Format, KnownFile, under
from .resnets import resnet_of, which_resnet


def _fits(contents: Contents) -> bool:
    tensors = contents.plain or {}
    return "fc.weight" in tensors and which_resnet(tensors) == "resnext101_32x16d"


FORMAT = Format(
    name="wsl-images",
    title="WSL-Images ResNeXt-101 32x16d",
    row="IG-940M-IN",
    fits=_fits,
    backbone=resnet_of,
    names=under(""),
    drops=(
        Drop("fc.weight", "ImageNet classifier", required=True),
        Drop("fc.bias", "ImageNet classifier", required=True),
    ),
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    licence="CC-BY-NC-4.0",
    trained_on="940M Instagram images with 1.5K hashtags, then fine-tuned on ImageNet-1K",
    source="facebookresearch/WSL-Images@c4dac64 hubconf.py",
    files=(
        KnownFile(
            name="ig_resnext101_32x16-c6f796b0.pth",
            url="https://download.pytorch.org/models/ig_resnext101_32x16-c6f796b0.pth",
            sha256="c6f796b0",
        ),
    ),
    notes=("fine-tuned on ImageNet-1K after the hashtags, as published; not the hashtag model itself",),
)
