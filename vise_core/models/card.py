"""The parts that checkpoint.json and predictor.json share: which backbone, and how its input looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from vise_core.errors import BadCheckpoint
from vise_core.specs.base import Record
from vise_core.specs.models.backbones import BackboneName

from .backbones import Backbone
from .tensors import read_json

Channel = Annotated[float, Field(gt=-10, lt=10, allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=1e-6, lt=10, allow_inf_nan=False)]


class ModelCard(Record):
    """What a file of weights does not say by itself."""

    backbone: BackboneName
    image_size: int = Field(ge=16, le=4096, description="Side of the crop that the network sees.")
    resize: int = Field(ge=16, le=8192, description="Shorter side before the centre crop.")
    mean: tuple[Channel, Channel, Channel]
    std: tuple[Spread, Spread, Spread]
    synthetic: bool = False


class Source(Record):
    """Where imported weights come from: what ``vise models add`` found."""

    format: str = Field(description="Key of CHECKPOINT_FORMATS.")
    title: str
    row: str = Field(description="Name of the row in the paper's tables.")
    file: str
    sha256: str
    verified: bool = Field(
        description="Whether it is, by its digest, the very file that its authors published."
    )
    licence: str
    trained_on: str
    dropped: tuple[str, ...] = Field((), description="Every key of the file that was left out.")
    notes: tuple[str, ...] = ()


class CheckpointCard(ModelCard):
    """checkpoint.json."""

    format: Literal["vise-checkpoint-1"] = "vise-checkpoint-1"
    heads: dict[str, Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default_factory=dict, description="Classes of each head, by name."
    )
    spec: dict[str, Any] = Field(default_factory=dict, description="The PretrainSpec behind it.")
    source: Source | None = Field(None, description="Of imported weights: the file that they come from.")


class PredictorCard(ModelCard):
    """predictor.json. Further entries, such as method and task, travel in ``metadata``."""

    format: Literal["vise-predictor-1"] = "vise-predictor-1"
    classes: tuple[str, ...] = Field(min_length=1, max_length=1_000_000)
    method: str = ""
    task: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)


SIGNAL_ROWS = {("comments", "reactions"): "VisE", ("comments",): "VisE-C", ("reactions",): "VisE-R"}
"""The paper's names of what a checkpoint was pretrained on, by its heads."""


def row_of(card: CheckpointCard) -> str:
    """Name of the row in tables for a checkpoint."""
    if card.source is not None:
        return card.source.row
    return SIGNAL_ROWS.get(tuple(sorted(card.heads)), "Pretrained")


C = TypeVar("C", bound=ModelCard)


def read_card(path: Path, kind: type[C]) -> C:
    """The card in a JSON file. Raises BadCheckpoint, naming the field."""
    content = read_json(path, kind.model_fields["format"].default)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadCheckpoint(f"{path.name}: {where}: {first['msg']}") from error


def apply_card(backbone: Backbone, card: ModelCard) -> None:
    """Let the backbone carry its own input sizes and normalisation."""
    backbone.mean, backbone.std = card.mean, card.std
    backbone.image_size, backbone.resize = card.image_size, card.resize
