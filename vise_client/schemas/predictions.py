"""Predictions of images, their history, and feedback on them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.explain import COLOUR_MAP, CamMethod, ColourMap

from .models import ModelView
from .wire import Request, Wire


class PredictionView(Wire):
    """Answer for one image; ``state`` is queued until a prediction worker has answered."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    model: ModelView
    method: CamMethod
    strength: float = Field(0.5, description="Opacity of the map in ``overlay_png``.")
    colour_map: ColourMap = COLOUR_MAP
    target_class: str | None = Field(
        None, description="The class that was asked for; null: the most probable."
    )
    batch: UUID | None = None
    position: int = 0
    synthetic: bool = Field(False, description="The image is generated, as whoever asked says.")
    predicted: str | None = None
    target: str | None = Field(None, description="The class whose map is drawn.")
    probabilities: dict[str, float] = Field(default_factory=dict)
    overlay_png: str | None = Field(None, description="Base64 of the PNG picture; null once forgotten.")
    heat_png: str | None = Field(
        None,
        description="Base64 of the map itself as an 8-bit grey PNG, 255 for 1, over ``region``: whoever has the "
        "image can tint it in other colours without asking again. Null once forgotten.",
    )
    region: tuple[float, float, float, float] | None = Field(
        None,
        description="What the network saw: left, top, right, bottom in shares of the upright image's width and height.",
    )
    kept: bool = Field(False, description="A thumbnail and the upload's SHA-256 stay in the history.")
    sha256: str | None = Field(None, description="Of the upload, where kept.")
    pictured_until: datetime | None = Field(
        None, description="When overlay, heat and picture are forgotten; null where they are already."
    )
    feedback: str | None = Field(
        None, description="The label that a person gave; the picture is kept with it."
    )
    error: str | None = None
    milliseconds: float | None = None
    created_at: datetime


class PredictionSummary(Wire):
    """A row of the history."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    model_id: UUID
    model: str
    task: str
    method: CamMethod
    target_class: str | None
    batch: UUID | None
    position: int
    synthetic: bool
    predicted: str | None
    probability: float | None = Field(description="Of the predicted class.")
    target: str | None
    kept: bool
    sha256: str | None
    thumbnail_jpg: str | None = Field(description="Base64 of a small JPEG, where kept.")
    pictured: bool = Field(description="Overlay, heat and picture are not forgotten yet.")
    feedback: str | None
    created_by: str | None
    error: str | None
    milliseconds: float | None
    created_at: datetime


class FeedbackCreate(Request):
    """What the image really is."""

    label: str = Field(min_length=1, max_length=200, description="One of the model's classes.")


class FeedbackView(Wire):
    """One image of the labelled set that people made by correcting or confirming models."""

    id: UUID
    prediction_id: UUID | None
    task: str
    label: str
    predicted: str
    model: str
    synthetic: bool
    sha256: str = Field(description="Of the kept picture, an upright JPEG without metadata.")
    created_by: str | None
    created_at: datetime


class FeedbackCount(Wire):
    task: str
    label: str
    images: int
    corrected: int = Field(description="Images of these whose prediction was another class.")
