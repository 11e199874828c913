"""Engagement that a pretrained model predicts for an image."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from .wire import ResponseBody


class EngagementModel(ResponseBody):
    """A pretrained model with heads that predict engagement."""

    checkpoint_id: UUID = Field(description="Id of the checkpoint artifact.")
    run_id: UUID
    name: str
    backbone: str
    signals: list[str] = Field(description="The heads: comments, reactions or both.")
    has_terms: bool = Field(
        description="Whether the clusterer was inspected, so that its clusters have terms."
    )
    clusterer_run_id: UUID | None = Field(description="The cluster run whose clusters the heads predict.")
    synthetic: bool
    created_at: datetime


class ExpectedCluster(ResponseBody):
    """A comment cluster and its probability."""

    cluster: int
    probability: float
    terms: list[tuple[str, float]] = Field(description="(word, weight) of its centroid, heaviest first.")
    comments: list[str] = Field(description="Comments nearest to its centroid.")


class EngagementResult(ResponseBody):
    """Expected comments and reactions of an image."""

    comments: list[ExpectedCluster] | None = Field(
        description="Most probable first; null without such a head."
    )
    comment_mass: float = Field(description="Total probability of the returned clusters.")
    reaction_clusters: list[float] | None = Field(
        description="Probability of each; null without such a head."
    )
    reactions: dict[str, float] | None = Field(
        description="Expected share of each reaction; null without a head for reactions or without an inspection."
    )


class EngagementView(ResponseBody):
    """The expected engagement of one image; the upload is deleted once it is computed."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    checkpoint_id: UUID
    run_id: UUID
    synthetic: bool
    result: EngagementResult | None = None
    error: str | None = None
    milliseconds: float | None = None
    created_at: datetime
