"""facebookresearch/grid-feats-vqa: the ResNet-50 of a Faster R-CNN, the paper's VQAGrid (Jiang et al. 2020).

Three traps, in which shapes match but features are wrong: a stage's stride is in its first 1x1 convolution (hence a
backbone of its own), images are BGR in 0 to 255 (folded into the first convolution), and batch-norm is frozen, with
PyTorch's own eps and no counter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint
from vise_core.specs.models.backbones import IMAGENET_MEAN, IMAGENET_STD

from .account import tensor_of
from .contents import Contents, Tensors
from .format import Drop, Format, KnownFile
from .resnets import which_resnet

BACKBONE = "backbone."
BGR_MEAN = tuple(255 * value for value in reversed(IMAGENET_MEAN))
"""103.53, 116.28, 123.675: detectron2's default, with a standard deviation of 1."""


def torchvision_names(names: Iterable[str]) -> dict[str, str]:
    """Map detectron2's names below ``backbone.`` to torchvision's."""
    return {
        name: _torchvision_name(name.removeprefix(BACKBONE)) for name in names if name.startswith(BACKBONE)
    }


def _torchvision_name(name: str) -> str:
    name = name.removeprefix("stem.")
    stage, _, rest = name.partition(".")
    if stage in ("res2", "res3", "res4", "res5"):
        name = f"layer{int(stage[-1]) - 1}.{rest}"
    for layer in "123":
        name = name.replace(f"conv{layer}.norm.", f"bn{layer}.")
    # In this order: the second would swallow the first.
    return name.replace("shortcut.norm.", "downsample.1.").replace("shortcut.", "downsample.0.")


def fold_pixels(trunk: Tensors, dropped: Mapping[str, object]) -> Mapping[str, Tensor]:
    """Convert the first convolution from BGR 0 to 255 minus the mean to RGB in ImageNet's normalisation.

    Both inputs are zero where the image is padded, so the conversion is exact: channel c of RGB times 255·std_c is the
    input on which the file's channel 2-c was trained. ``conv1.weight`` is (64, 3, 7, 7) and keeps its dtype. Raises
    BadCheckpoint for another mean, deviation or shape.
    """
    for name, expected in (("pixel_mean", BGR_MEAN), ("pixel_std", (1.0, 1.0, 1.0))):
        tensor = tensor_of(dropped, name)
        if tensor is not None and tensor.numel() != 3:
            raise BadCheckpoint(f"{name} has {tensor.numel():,} values, expected 3")
        if tensor is not None and not torch.allclose(
            tensor.flatten().float(), torch.tensor(expected), atol=1e-3
        ):
            raise BadCheckpoint(
                f"{name} is {tensor.flatten().tolist()}, expected {list(expected)}: other input"
            )
    bgr = trunk["conv1.weight"]
    if bgr.ndim != 4 or bgr.shape[1] != 3:
        raise BadCheckpoint(f"backbone.stem.conv1.weight has shape {tuple(bgr.shape)}")
    scale = torch.tensor(IMAGENET_STD, dtype=torch.float64).mul(255).view(1, 3, 1, 1)
    return {**trunk, "conv1.weight": (bgr.flip(1).double() * scale).to(bgr.dtype)}


def _fits(contents: Contents) -> bool:
    return f"{BACKBONE}stem.conv1.weight" in (contents.wrapped("model") or {})


def _backbone(trunk: Tensors) -> str:
    if which_resnet(trunk) != "resnet50":
        raise BadCheckpoint("of grid-feats-vqa's models only R-50 is known here, not the ResNeXts")
    return "resnet50_stride1x1"


FORMAT = Format(
    name="grid-feats-vqa",
    title="grid-feats-vqa R-50",
    row="VQAGrid",
    fits=_fits,
    backbone=_backbone,
    names=torchvision_names,
    drops=(
        Drop("proposal_generator.*", "region proposals"),
        Drop("roi_heads.*", "object and attribute heads"),
        Drop("pixel_mean", "mean of BGR pixels, folded into the first convolution"),
        Drop("pixel_std", "deviation of BGR pixels, 1"),
    ),
    licence="Apache-2.0",
    trained_on="Visual Genome, 1,600 objects and 400 attributes, from ImageNet (MSRA R-50)",
    source="facebookresearch/grid-feats-vqa@2677387 configs/R-50-grid.yaml, detectron2's naming",
    wrapper="model",
    beside=(
        Drop("optimizer", "training state"),
        Drop("scheduler", "training state"),
        Drop("iteration", "training state"),
        Drop("__author__", "name of the author"),
    ),
    counters="never",
    convert=fold_pixels,
    files=(KnownFile(name="R-50.pth", url="https://dl.fbaipublicfiles.com/grid-feats-vqa/R-50/R-50.pth"),),
    notes=(
        "BGR pixels of 0 to 255 are folded into the first convolution; dilation of the last stage is 1, as where "
        "its authors extract features",
    ),
)
