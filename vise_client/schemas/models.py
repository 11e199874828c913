"""Registered models and their model cards."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from vise_core.specs.reports.model_card import ModelFacts

from .wire import RequestBody, ResponseBody, UpdateBody


class ModelCreate(RequestBody):
    """A predictor to register, made by a succeeded evaluate run."""

    run_id: UUID
    name: str = Field(min_length=1, max_length=120)
    default: bool = False


class ModelUpdate(UpdateBody):
    """Changes of a model; null leaves a field as it is."""

    name: str | None = Field(None, min_length=1, max_length=120)
    default: bool | None = None


class ModelView(ResponseBody):
    """A registered model."""

    id: UUID
    name: str
    run_id: UUID
    artifact_id: UUID
    method: str
    task: str
    backbone: str
    classes: list[str]
    headline: dict[str, float]
    synthetic: bool
    default: bool
    created_at: datetime
    deleted_inputs: list[str] = Field(
        default_factory=list,
        description="Names of deleted data sets that the model was made from.",
    )


class ModelCardView(ResponseBody):
    """A model card as facts, and as Markdown."""

    facts: ModelFacts
    markdown: str
    size: int = Field(description="Bytes of its files.")
