"""The common part of checkpoint.json and predictor.json: the backbone and its input."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vise_core.specs.base import Record
from vise_core.specs.models.backbones import BackboneName

Channel = Annotated[float, Field(gt=-10, lt=10, allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=1e-6, lt=10, allow_inf_nan=False)]


class NetworkCard(Record):
    """The backbone's name, its input sizes and its normalisation, which weights alone do not state."""

    backbone: BackboneName
    image_size: int = Field(ge=16, le=4096, description="Side of the crop that the network sees.")
    resize: int = Field(ge=16, le=8192, description="Shorter side before the centre crop.")
    mean: tuple[Channel, Channel, Channel]
    std: tuple[Spread, Spread, Spread]
    synthetic: bool = False
