"""Comment and reaction clusters, as the stage explore describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.explore import LabelAgreement, LabelSpread

from .wire import Wire

ClusterKind = Literal["comments", "reactions"]


class ExplorerView(Wire):
    """What the stage explore found about the clusters of one clusterer."""

    artifact_id: UUID
    run_id: UUID
    name: str
    synthetic: bool
    posts: int
    with_labels: bool = Field(description="Labels of the stage label; else every post was labelled anew.")
    shuffled: bool = Field(description="A control: engagement was permuted over posts.")
    clusterer_run_id: UUID | None
    comments: LabelSpread | None
    reactions: LabelSpread | None
    agreement: LabelAgreement | None
    reaction_names: list[str]
    thumbnail: int = Field(description="Side of a sample picture in a strip, pixels.")
    map_explained: dict[str, tuple[float, float]] = Field(
        description="comments, reactions → share of the centroids' variance on each axis of the map."
    )
    created_at: datetime


class ClusterRow(Wire):
    """A comment or reaction cluster."""

    cluster: int
    size: int = Field(description="Comment labels, or posts of a reaction cluster.")
    share: float = Field(description="Of all labels of this kind.")
    posts: int = Field(description="Posts that have it.")
    terms: list[tuple[str, float]] = Field(
        description="(word, weight), heaviest first; comment clusters only."
    )
    comments: list[str]
    reactions: dict[str, float] = Field(description="Mean share of each reaction among its posts.")
    sample_posts: list[str]
    thumbnails_jpg: str | None = Field(
        None, description="Base64 of a strip of the sample posts' pictures, square, in their order."
    )


class ClusterPage(Wire):
    items: list[ClusterRow]
    total: int = Field(description="Clusters that fit the search.")


class ClusterPair(Wire):
    """A cluster of the other kind that occurs with it."""

    cluster: int
    count: float = Field(description="Pairs of a comment label and a reaction label on the same post.")
    lift: float = Field(description="Times more often than if the labels were independent.")


class ClusterDetail(ClusterRow):
    kind: ClusterKind
    pairs: list[ClusterPair] = Field(description="Strongest pairs with clusters of the other kind.")


class ClusterPoints(Wire):
    """The map: one entry a cluster in each list."""

    clusters: list[int]
    x: list[float]
    y: list[float]
    sizes: list[int]
    titles: list[str] = Field(description="Top words, or the main reaction.")
