"""The weights that an evaluation starts from, and the towers that it has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..base import Record
from ..models.backbones import BackboneName


class RandomWeights(Record):
    """Random weights, without pretraining: Random Init in the tables."""

    kind: Literal["random"] = "random"
    backbone: BackboneName = "resnet50"


class CatalogueWeights(Record):
    """Published weights from the catalogue, downloaded and verified."""

    kind: Literal["catalogue"] = "catalogue"
    backbone: BackboneName = "resnet50"
    name: str = Field("in-sup", description="Entry of the weights catalogue, such as in-sup.")


class PretrainedWeights(Record):
    """The weights of a pretraining run, from the input ``checkpoint``."""

    kind: Literal["pretrained"] = "pretrained"


Weights = Annotated[RandomWeights | CatalogueWeights | PretrainedWeights, Field(discriminator="kind")]


Setup = Literal["image", "image+text", "image+text-frozen", "text"]
"""Towers used and which of them learn (Sec. 5.2, Fig. 6); a task without text has ``image`` only."""


SETUPS: dict[Setup, str] = {
    "image+text": "image + text",
    "image+text-frozen": "image + frozen text",
    "image": "image only",
    "text": "text only",
}
"""Each setup in words. The paper's main one for a task with texts is ``image+text-frozen`` (Sec. 4.3)."""
