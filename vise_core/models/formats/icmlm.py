"""ICMLM-tfm and ICMLM-att-fc: ResNet-50 by masked words of captions (Sariyildiz et al. 2020). Unverified.

Neither the authors' files nor their code could be had, so the names are not known. A ResNet-50 in
torchvision's names under any one prefix is taken, and nothing else beside it. The two are alike by their
keys, so whoever adds one has to say which it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from vise_core.specs.backbones import IMAGENET_MEAN, IMAGENET_STD

from .contents import Contents
from .format import Format, KnownFile
from .resnets import resnet_of, which_resnet

LAST = "layer4.2.conv3.weight"
TAKEN = ("module.encoder_q.", "visual.cnn.", "visual.", "backbone.")
"""Prefixes of the other formats."""


def common_prefix(names: Iterable[str]) -> str | None:
    """What stands before torchvision's names; None where it is not one and the same for all."""
    names = list(names)
    prefixes = {name.removesuffix(LAST) for name in names if name.endswith(LAST)}
    if len(prefixes) != 1:
        return None
    (prefix,) = prefixes
    return prefix if all(name.startswith(prefix) for name in names) else None


def without_prefix(names: Iterable[str]) -> dict[str, str]:
    names = list(names)
    prefix = common_prefix(names)
    return {} if prefix is None else {name: name.removeprefix(prefix) for name in names}


def _fits(contents: Contents) -> bool:
    tensors = contents.plain or {}
    prefix = common_prefix(tensors)
    return bool(prefix) and prefix not in TAKEN and which_resnet(tensors, prefix or "") == "resnet50"


def _format(name: str, head: str, files: tuple[KnownFile, ...] = ()) -> Format:
    return Format(
        name=f"icmlm-{name}",
        title=f"ICMLM-{name} ResNet-50 (unverified)",
        row=f"ICMLM-{name}",
        fits=_fits,
        backbone=resnet_of,
        names=without_prefix,
        drops=(),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="not known here; ask the authors (NAVER LABS Europe)",
        trained_on=f"COCO Captions, 118K images, masked words predicted by {head}",
        source="none: neither code nor files were at hand",
        files=files,
        verified=False,
        notes=(
            "unverified: the authors' file was not at hand; a ResNet-50 in torchvision's names under one prefix was "
            "taken, with ImageNet's normalisation",
        ),
    )


TFM = _format("tfm", "a transformer")
ATT_FC = _format("att-fc", "attention and fully connected layers")
