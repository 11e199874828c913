"""torchvision's supervised ImageNet classifiers: the paper's IN-Sup."""

from __future__ import annotations

from torchvision.models import ResNet50_Weights, ResNet101_Weights, WeightsEnum

from vise_core.errors import BadCheckpoint
from vise_core.models.weights import WEIGHTS, Url

from .contents import Contents, Tensors
from .format import Drop, Format, KnownFile
from .networks import only_network
from .resnets import resnet_of, which_resnet

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
IMAGENET_CLASSIFIER = tuple(
    Drop(f"fc.{name}", "ImageNet classifier", required=True, rows=1000) for name in ("weight", "bias")
)


def _fits(contents: Contents) -> bool:
    return has_classifier(trunk := only_network(contents)) and which_resnet(trunk) in RESNETS


def has_classifier(trunk: Tensors) -> bool:
    """Return True if the file has a classifier of ImageNet's 1,000 classes; others were fine-tuned."""
    weight = trunk.get("fc.weight")
    return weight is not None and weight.ndim == 2 and weight.shape[0] == 1000


def _backbone(trunk: Tensors) -> str:
    if (resnet := resnet_of(trunk)) not in RESNETS:
        raise BadCheckpoint(f"of torchvision's weights {', '.join(RESNETS)} are known here, not {resnet}")
    return resnet


def _newer(weights: WeightsEnum) -> KnownFile:
    # torchvision names a file after its model and the first eight digits of its SHA-256.
    name = weights.url.rsplit("/", 1)[1]
    return KnownFile(
        name=name,
        url=weights.url,
        sha256=name.removesuffix(".pth").rsplit("-", 1)[1],
        row="IN-Sup (V2 recipe)",
        trained_on="ImageNet-1K, supervised (torchvision IMAGENET1K_V2: a newer recipe than the paper's)",
    )


FORMAT = Format(
    name="in-sup",
    title="torchvision's supervised ImageNet weights",
    row="IN-Sup",
    fits=_fits,
    backbone=_backbone,
    drops=IMAGENET_CLASSIFIER,
    licence="BSD-3-Clause (torchvision); ImageNet's terms allow research only",
    trained_on="ImageNet-1K, supervised (torchvision IMAGENET1K_V1)",
    source="pytorch/vision torchvision/models/resnet.py",
    torchvision=True,
    files=(
        *(
            KnownFile(name=entry.source.file_name, url=entry.source.url, sha256=entry.sha256)
            for (name, backbone), entry in WEIGHTS.items()
            if name == "in-sup" and backbone in RESNETS and isinstance(entry.source, Url)
        ),
        _newer(ResNet50_Weights.IMAGENET1K_V2),
        _newer(ResNet101_Weights.IMAGENET1K_V2),
    ),
)
