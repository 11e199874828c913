"""kdexd/virtex: ResNet-50 pretrained by captioning (Desai & Johnson 2021), as trunk or whole model."""

from __future__ import annotations

from vise_core.errors import BadCheckpoint

from .contents import Contents, Tensors
from .format import Drop, Format, KnownFile, under
from .networks import only_network
from .resnets import resnet_of, which_resnet

VISUAL = "visual.cnn."
TRAINED_ON = "COCO Captions, 118K images, captioning in both directions"
SOURCE = "kdexd/virtex@ae67b23 hubconf.py, virtex/utils/checkpointing.py, virtex/models/captioning.py"


def _fits_backbone(contents: Contents) -> bool:
    trunk = only_network(contents)
    return not any(name.startswith("fc.") for name in trunk) and which_resnet(trunk) == "resnet50"


def _backbone(trunk: Tensors) -> str:
    if (resnet := resnet_of(trunk)) != "resnet50":
        raise BadCheckpoint(f"VirTex's backbone is a resnet50, not {resnet}")
    return resnet


def _fits_model(contents: Contents) -> bool:
    return f"{VISUAL}conv1.weight" in (contents.wrapped("model") or {})


BACKBONE = Format(
    name="virtex",
    title="VirTex's visual backbone",
    row="VirTex",
    fits=_fits_backbone,
    backbone=_backbone,
    licence="MIT",
    trained_on=TRAINED_ON,
    source=SOURCE,
    files=(
        KnownFile(
            name="backbone_bicaptioning_R_50_L1_H2048.pth",
            url="https://www.dropbox.com/s/pxgjxcva7oypf12/backbone_bicaptioning_R_50_L1_H2048.pth?dl=1",
        ),
    ),
    torchvision=True,
    notes=(
        "a ResNet-50 trunk in torchvision's names without a classifier; the keys cannot show whether it is VirTex's",
    ),
)

MODEL = Format(
    name="virtex-model",
    title="VirTex's whole model",
    row="VirTex",
    fits=_fits_model,
    backbone=resnet_of,
    names=under(VISUAL),
    drops=(
        Drop("textual.*", "caption decoder"),
        Drop("backward_textual.*", "caption decoder of the other direction"),
    ),
    licence="MIT",
    trained_on=TRAINED_ON,
    source=SOURCE,
    wrapper="model",
    beside=tuple(Drop(name, "training state") for name in ("optimizer", "scheduler", "scaler", "iteration")),
    files=(
        KnownFile(
            name="bicaptioning_R_50_L1_H2048.pth",
            url="https://www.dropbox.com/s/mbeeso8wyieq8wy/bicaptioning_R_50_L1_H2048.pth?dl=0",
        ),
    ),
)
