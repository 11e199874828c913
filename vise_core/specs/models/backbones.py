"""The registry of backbones: facts that need no torch, and the dotted path of the builder.

Adding a backbone is one entry here and its builder in ``vise_core.models``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ..base import Record

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class BackboneEntry(Record):
    """A convolutional trunk, pooled to one feature vector per image."""

    title: str
    family: str | None = Field(
        None, description="Backbone that the paper's tables list it under, where that is not its own title."
    )
    builder: str = Field(description="module:function that returns the untrained trunk.")
    feature_dim: int
    parameters: int = Field(description="Number of weights in the trunk, without any head.")
    activations: int = Field(
        description="Values that one 224-pixel image leaves behind for the backward pass, as PyTorch's autograd "
        "saves them; a test counts them anew."
    )
    image_size: int = 224
    resize: int = Field(256, description="Shorter side before the centre crop in evaluation.")
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def _resnet(title: str, name: str, *counts: int, family: str | None = None) -> BackboneEntry:
    feature_dim, parameters, activations = counts
    return BackboneEntry(
        title=title,
        family=family,
        builder=f"vise_core.models.resnet:{name}",
        feature_dim=feature_dim,
        parameters=parameters,
        activations=activations,
    )


BACKBONES: dict[str, BackboneEntry] = {
    "resnet18": _resnet("ResNet-18", "resnet18", 512, 11_176_512, 5_554_048),
    "resnet34": _resnet("ResNet-34", "resnet34", 512, 21_284_672, 8_070_272),
    "resnet50": _resnet("ResNet-50", "resnet50", 2048, 23_508_032, 21_528_448),
    "resnet50_stride1x1": _resnet(
        "ResNet-50, stride in the 1x1 (detectron2)",
        "resnet50_stride1x1",
        *(2048, 23_508_032, 20_474_752),
        family="ResNet-50",
    ),
    "clip_resnet50": BackboneEntry(
        title="ResNet-50, CLIP's",
        family="ResNet-50",
        builder="vise_core.models.clip_resnet:clip_resnet50",
        feature_dim=2048,
        parameters=23_527_264,
        activations=24_514_048,
        mean=CLIP_MEAN,
        std=CLIP_STD,
    ),
    "resnet101": _resnet("ResNet-101", "resnet101", 2048, 42_500_160, 31_816_576),
    "resnext101_32x16d": _resnet("ResNeXt-101 32x16d", "resnext101_32x16d", 2048, 191_977_792, 101_939_328),
    "efficientnet_lite0": BackboneEntry(
        title="EfficientNet-Lite0",
        builder="vise_core.models.efficientnet:efficientnet_lite0",
        feature_dim=1280,
        parameters=3_371_008,
        activations=19_911_555,
        mean=(0.498, 0.498, 0.498),
        std=(0.502, 0.502, 0.502),
    ),
}


def _known_backbone(name: str) -> str:
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; choose one of {', '.join(BACKBONES)}")
    return name


BackboneName = Annotated[
    str, AfterValidator(_known_backbone), Field(json_schema_extra={"enum": list(BACKBONES)})
]
