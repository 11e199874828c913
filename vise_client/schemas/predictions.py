"""Predictions of images, their history, and feedback on them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.explain import COLOUR_MAP, CamMethod, ColourMap

from .models import ModelView
from .wire import RequestBody, ResponseBody


class PredictionView(ResponseBody):
    """The prediction for one image; its state is queued until a worker has computed it."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    model: ModelView
    method: CamMethod
    strength: float = Field(0.5, description="Opacity of the map in ``overlay_png``.")
    colour_map: ColourMap = COLOUR_MAP
    target_class: str | None = Field(None, description="The requested class; null for the most probable.")
    batch: UUID | None = None
    position: int = 0
    synthetic: bool = Field(False, description="Whether the request says that the image is generated.")
    predicted: str | None = None
    target: str | None = Field(None, description="The class whose map is drawn.")
    probabilities: dict[str, float] = Field(default_factory=dict)
    overlay_png: str | None = Field(
        None, description="Base64 of the map drawn over the image, PNG; null once deleted."
    )
    heat_png: str | None = Field(
        None,
        description="Base64 of the map as an 8-bit grey PNG, 255 for 1, over ``region``, to be drawn in other colours; "
        "null once deleted.",
    )
    region: tuple[float, float, float, float] | None = Field(
        None,
        description="Part of the image that the network reads: left, top, right, bottom as shares of the upright width and height.",
    )
    kept: bool = Field(False, description="Whether a thumbnail and the upload's SHA-256 stay in the history.")
    sha256: str | None = Field(None, description="SHA-256 of the upload, where kept.")
    pictured_until: datetime | None = Field(
        None, description="When overlay, map and picture are deleted; null once they are."
    )
    feedback: str | None = Field(None, description="The label that a user gave; the picture is kept with it.")
    error: str | None = None
    milliseconds: float | None = None
    created_at: datetime


class PredictionSummary(ResponseBody):
    """A row of the prediction history."""

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
    probability: float | None = Field(description="Probability of the predicted class.")
    target: str | None
    kept: bool
    sha256: str | None
    thumbnail_jpg: str | None = Field(description="Base64 of a thumbnail, JPEG, where kept.")
    pictured: bool = Field(description="Whether overlay, map and picture are still stored.")
    feedback: str | None
    created_by: str | None
    error: str | None
    milliseconds: float | None
    created_at: datetime


class FeedbackCreate(RequestBody):
    """The true class of a prediction's image."""

    label: str = Field(min_length=1, max_length=200, description="One of the model's classes.")


class FeedbackView(ResponseBody):
    """An image of the labelled set that users make with feedback."""

    id: UUID
    prediction_id: UUID | None
    task: str
    label: str
    predicted: str
    model: str
    synthetic: bool
    sha256: str = Field(description="SHA-256 of the kept picture, an upright JPEG without metadata.")
    created_by: str | None
    created_at: datetime


class FeedbackCount(ResponseBody):
    """Number of labelled images of one task and label."""

    task: str
    label: str
    images: int
    corrected: int = Field(description="Images whose prediction was another class.")
