"""The artifact ``predictor`` of the stage evaluate: an image classifier, which can be registered as a model.

A folder with ``predictor.json`` and ``model.safetensors``. This module reads and writes the JSON without torch;
``vise_core.models.classifier`` reads and writes the whole folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vise_core.errors import BadCheckpoint

from .json_file import read_json, write_json
from .network_card import NetworkCard

CARD_FILE = "predictor.json"
MODEL_FILE = "model.safetensors"
"""Tensors ``backbone.*``, ``head.weight`` (n_classes, n_features) and ``head.bias`` (n_classes,)."""


class PredictorCard(NetworkCard):
    """The content of ``predictor.json``. ``metadata`` has further entries, such as the split and its metrics."""

    format: Literal["vise-predictor-1"] = "vise-predictor-1"
    classes: tuple[str, ...] = Field(min_length=1, max_length=1_000_000)
    method: str = ""
    task: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)


def write_predictor_card(folder: Path, card: PredictorCard) -> None:
    """Write ``predictor.json``."""
    write_json(folder / CARD_FILE, card)


def read_predictor_card(folder: Path) -> PredictorCard:
    """Read ``predictor.json``. Raises BadCheckpoint, also if two classes have the same name."""
    card = read_json(folder / CARD_FILE, PredictorCard, remedy="evaluate again", error=BadCheckpoint)
    if len(set(card.classes)) != len(card.classes):
        raise BadCheckpoint(f"{folder / CARD_FILE}: classes names one twice: evaluate again")
    return card
