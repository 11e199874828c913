"""ICMLM-tfm and ICMLM-att-fc: ResNet-50 trained on masked words of captions (Sariyildiz et al. 2020). Unverified.

Neither the authors' files nor their code are available, so their key names are not known. A ResNet-50 in
torchvision's names under any one prefix is accepted, and nothing beside it. The keys do not tell the two models
apart, nor from others, so the user states which one a file is.
"""

from __future__ import annotations

from .contents import Contents
from .format import Format
from .networks import only_network
from .resnets import resnet_of, which_resnet


def _fits(contents: Contents) -> bool:
    trunk = only_network(contents)
    return which_resnet(trunk) == "resnet50" and not any(name.startswith("fc.") for name in trunk)


def _format(name: str, head: str) -> Format:
    return Format(
        name=f"icmlm-{name}",
        title=f"ICMLM-{name} ResNet-50 (unverified)",
        row=f"ICMLM-{name}",
        fits=_fits,
        backbone=resnet_of,
        licence="not known here; ask the authors (NAVER LABS Europe)",
        trained_on=f"COCO Captions, 118K images, masked words predicted by {head}",
        source="none: neither code nor files were at hand",
        torchvision=True,
        verified=False,
        notes=(
            "unverified: the authors' file was not at hand; a ResNet-50 in torchvision's names under one prefix was "
            "taken, with ImageNet's normalisation",
        ),
    )


TFM = _format("tfm", "a transformer")
ATT_FC = _format("att-fc", "attention and fully connected layers")
