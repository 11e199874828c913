"""The artifact ``checkpoint`` of the stages pretrain and import: a backbone with its pretraining heads.

A folder with ``checkpoint.json``, ``backbone.safetensors`` and ``heads.safetensors``. This module reads and writes
the JSON without torch; ``vise_core.models.checkpoint`` reads and writes the whole folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from vise_core.errors import BadCheckpoint
from vise_core.specs.base import Record

from .json_file import read_json, write_json
from .network_card import NetworkCard

CARD_FILE = "checkpoint.json"
BACKBONE_FILE = "backbone.safetensors"
"""Tensors of the trunk, under the names of its definition (torchvision, timm) without a prefix."""
HEADS_FILE = "heads.safetensors"
"""Tensors of the heads: ``<head>.weight``, ``<head>.bias``."""

SIGNAL_ROWS = {("comments", "reactions"): "VisE", ("comments",): "VisE-C", ("reactions",): "VisE-R"}
"""The paper's names of what a checkpoint was pretrained on, by its heads."""


class Source(Record):
    """The origin of imported weights, as ``vise models add`` recorded it."""

    format: str = Field(description="Key of CHECKPOINT_FORMATS.")
    title: str
    row: str = Field(description="Name of the row in the paper's tables.")
    file: str
    sha256: str
    verified: bool = Field(description="Whether its digest is that of the file that its authors published.")
    licence: str
    trained_on: str
    dropped: tuple[str, ...] = Field((), description="Every key of the file that was left out.")
    notes: tuple[str, ...] = ()


class CheckpointCard(NetworkCard):
    """The content of ``checkpoint.json``."""

    format: Literal["vise-checkpoint-1"] = "vise-checkpoint-1"
    heads: dict[str, Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default_factory=dict, description="Classes of each head, by name."
    )
    spec: dict[str, Any] = Field(default_factory=dict, description="The PretrainSpec behind it.")
    source: Source | None = Field(None, description="Of imported weights: the file that they come from.")


def write_checkpoint_card(folder: Path, card: CheckpointCard) -> None:
    """Write ``checkpoint.json``."""
    write_json(folder / CARD_FILE, card)


def read_checkpoint_card(folder: Path) -> CheckpointCard:
    """Read ``checkpoint.json``. Raises BadCheckpoint if the file is missing, damaged or of another format."""
    return read_json(
        folder / CARD_FILE, CheckpointCard, remedy="pretrain or import again", error=BadCheckpoint
    )


def row_of(card: CheckpointCard) -> str:
    """Return the name of a checkpoint's row in tables."""
    if card.source is not None:
        return card.source.row
    return SIGNAL_ROWS.get(tuple(sorted(card.heads)), "Pretrained")
