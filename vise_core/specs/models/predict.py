"""Options of a prediction, and of the engagement that is expected of an image."""

from __future__ import annotations

from pydantic import Field

from ..base import Record
from ..explain import COLOUR_MAP, CamMethod, ColourMap


class PredictOptions(Record):
    """Options of the prediction for an uploaded image."""

    method: CamMethod = "cam"
    target_class: str | None = Field(None, description="Class whose map is drawn; null: the most probable.")
    strength: float = Field(0.5, ge=0, le=1, description="Opacity of the map over the image.")
    colour_map: ColourMap = Field(COLOUR_MAP, description="Colours of the map over the image.")
    overlay: bool = Field(
        True,
        description="Send the map drawn over the image. Drawing takes longer than the network: leave it off "
        "where the caller draws the map.",
    )


class EngagementOptions(Record):
    """Options of the prediction of engagement for an uploaded image."""

    top: int = Field(10, ge=1, le=100, description="Comment clusters to return, the most probable first.")
