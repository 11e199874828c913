"""Registered models and their model cards."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from vise_core.specs.reports.model_card import ModelFacts

from .wire import Request, Wire


class ModelCreate(Request):
    """Make a predictor out of a succeeded evaluate run."""

    run_id: UUID
    name: str = Field(min_length=1, max_length=120)
    default: bool = False


class ModelUpdate(Request):
    name: str | None = Field(None, min_length=1, max_length=120)
    default: bool | None = None


class ModelView(Wire):
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


class ModelCardView(Wire):
    """What a model is and comes from; ``markdown`` is the same for people."""

    facts: ModelFacts
    markdown: str
    size: int = Field(description="Bytes of its files.")
