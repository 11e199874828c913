"""facebookresearch/moco: the query encoder of MoCo-v2, ResNet-50 (Chen et al. 2020)."""

from __future__ import annotations

from .contents import Contents
from .format import Drop, Format, KnownFile, under
from .resnets import resnet_of

QUERY = "module.encoder_q."
FOLDER = "https://dl.fbaipublicfiles.com/moco/moco_checkpoints"


def _fits(contents: Contents) -> bool:
    tensors = contents.wrapped("state_dict") or {}
    # Version 2 has two layers on top; version 1 has one, fc.weight and fc.bias.
    return f"{QUERY}conv1.weight" in tensors and f"{QUERY}fc.weight" not in tensors


FORMAT = Format(
    name="moco-v2",
    title="MoCo-v2 ResNet-50",
    row="MoCo-v2",
    fits=_fits,
    backbone=resnet_of,
    names=under(QUERY),
    drops=(
        *(
            Drop(f"{QUERY}fc.{layer}", "projection head")
            for layer in ("0.weight", "0.bias", "2.weight", "2.bias")
        ),
        Drop("module.encoder_k.*", "momentum encoder, with its head"),
        Drop("module.queue", "queue of negative keys"),
        Drop("module.queue_ptr", "place in the queue"),
    ),
    licence="CC-BY-NC-4.0 by the README of the release; the repository's LICENSE is MIT since",
    trained_on="ImageNet-1K images without labels",
    source="facebookresearch/moco@89d6176 main_moco.py, main_lincls.py",
    wrapper="state_dict",
    beside=(
        Drop("epoch", "training state"),
        Drop("arch", "name of the architecture"),
        Drop("optimizer", "training state"),
    ),
    files=(
        KnownFile(
            name="moco_v2_800ep_pretrain.pth.tar",
            url=f"{FOLDER}/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar",
            md5="a04e12f8",
            trained_on="ImageNet-1K images without labels, 800 epochs",
        ),
        KnownFile(
            name="moco_v2_200ep_pretrain.pth.tar",
            url=f"{FOLDER}/moco_v2_200ep/moco_v2_200ep_pretrain.pth.tar",
            md5="59fd9945",
            row="MoCo-v2 (200 epochs)",
            trained_on="ImageNet-1K images without labels, 200 epochs; the paper's is the one of 800",
        ),
    ),
)
