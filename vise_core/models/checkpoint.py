"""Save and load checkpoint folders with their tensors; ``vise_core.formats.checkpoint`` has the card and file names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vise_core.formats.checkpoint import (
    BACKBONE_FILE,
    HEADS_FILE,
    CheckpointCard,
    Source,
    read_checkpoint_card,
    write_checkpoint_card,
)
from vise_core.formats.network_card import NetworkCard

from .backbones import Backbone, empty_backbone
from .tensors import load_into, write_tensors


def save_checkpoint(
    folder: Path,
    backbone: Backbone,
    heads: Mapping[str, nn.Linear],
    *,
    image_size: int,
    spec: Mapping[str, Any] | None = None,
    synthetic: bool = False,
    source: Source | None = None,
) -> None:
    """Write a checkpoint folder.

    The backbone's keys are those of its definition (torchvision, timm) without a prefix, so that other
    programs can read them. ``image_size`` is the side of the crops that it was trained on; ``source`` says where
    imported weights come from.
    """
    card = CheckpointCard(
        backbone=backbone.name,
        image_size=image_size,
        resize=resize_for(backbone, image_size),
        mean=backbone.mean,
        std=backbone.std,
        synthetic=synthetic,
        heads={name: head.out_features for name, head in heads.items()},
        spec=dict(spec or {}),
        source=source,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / BACKBONE_FILE, backbone.trunk.state_dict())
    write_tensors(
        folder / HEADS_FILE,
        {f"{name}.{key}": t for name, head in heads.items() for key, t in head.state_dict().items()},
    )
    write_checkpoint_card(folder, card)


def load_backbone(folder: Path) -> Backbone:
    """Load the backbone of a checkpoint, on the CPU, in training mode; ``image_size`` is that of its training.

    Raises BadCheckpoint for anything that ``save_checkpoint`` would not write.
    """
    card = read_checkpoint_card(folder)
    backbone = empty_backbone(card.backbone)
    load_into(backbone.trunk, folder / BACKBONE_FILE)
    apply_card(backbone, card)
    return backbone


def load_heads(folder: Path) -> dict[str, nn.Linear]:
    """Load the pretraining heads of a checkpoint, by name.

    Raises BadCheckpoint if a file is missing or damaged, or its tensors are not those of the card.
    """
    card = read_checkpoint_card(folder)
    features = empty_backbone(card.backbone).feature_dim
    with torch.device("meta"):
        heads = nn.ModuleDict({name: nn.Linear(features, classes) for name, classes in card.heads.items()})
    load_into(heads, folder / HEADS_FILE)
    return {name: head for name, head in heads.items() if isinstance(head, nn.Linear)}


def resize_for(backbone: Backbone, image_size: int) -> int:
    """Return the shorter side to resize to before a centre crop of ``image_size``, as 256 for 224 (Sec. 4.2)."""
    return round(image_size * backbone.resize / backbone.image_size)


def apply_card(backbone: Backbone, card: NetworkCard) -> None:
    """Set the backbone's input sizes and normalisation to those of its card."""
    backbone.mean, backbone.std = card.mean, card.std
    backbone.image_size, backbone.resize = card.image_size, card.resize
