"""Engagement that a pretrained model expects of an image."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from .wire import Wire


class EngagementModel(Wire):
    """A pretrained model that can say which engagement it expects."""

    checkpoint_id: UUID = Field(description="The artifact.")
    run_id: UUID
    name: str
    backbone: str
    signals: list[str] = Field(description="comments, reactions: its heads.")
    has_terms: bool = Field(description="The clusterer's inspection is there, so that clusters have words.")
    clusterer_run_id: UUID | None = Field(description="Whose clusters its heads speak of.")
    synthetic: bool
    created_at: datetime


class ExpectedCluster(Wire):
    cluster: int
    probability: float
    terms: list[tuple[str, float]] = Field(description="(word, weight) of its centroid, heaviest first.")
    comments: list[str] = Field(description="Those nearest to its centroid.")


class EngagementResult(Wire):
    comments: list[ExpectedCluster] | None = Field(
        description="Most probable first; null without such a head."
    )
    comment_mass: float = Field(description="Probability that the clusters told hold together.")
    reaction_clusters: list[float] | None = Field(
        description="Probability of each; null without such a head."
    )
    reactions: dict[str, float] | None = Field(
        description="Expected share of each reaction; null without a head for reactions or without an inspection."
    )


class EngagementView(Wire):
    """Expected engagement of one image; the upload is dropped once it is answered."""

    id: UUID
    state: Literal["queued", "succeeded", "failed"]
    checkpoint_id: UUID
    run_id: UUID
    synthetic: bool
    result: EngagementResult | None = None
    error: str | None = None
    milliseconds: float | None = None
    created_at: datetime
