"""Comment and reaction clusters, as the stage explore describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.explore import LabelAgreement, LabelSpread

from .wire import ResponseBody

ClusterKind = Literal["comments", "reactions"]


class ExplorerView(ResponseBody):
    """The clusters of one clusterer, as an explore run described them."""

    artifact_id: UUID
    run_id: UUID
    name: str
    synthetic: bool
    posts: int
    with_labels: bool = Field(
        description="Whether the labels of the stage label were used; else explore labelled the posts itself."
    )
    shuffled: bool = Field(description="Whether engagement was permuted over posts, as a control.")
    clusterer_run_id: UUID | None
    comments: LabelSpread | None
    reactions: LabelSpread | None
    agreement: LabelAgreement | None
    reaction_names: list[str]
    thumbnail: int = Field(description="Side of a sample picture in a strip, in pixels.")
    map_explained: dict[str, tuple[float, float]] = Field(
        description="comments and reactions → share of the centroids' variance on each axis of the map."
    )
    created_at: datetime


class ClusterRow(ResponseBody):
    """A comment or reaction cluster."""

    cluster: int
    size: int = Field(description="Number of comment labels, or of posts of a reaction cluster.")
    share: float = Field(description="Share of all labels of this kind.")
    posts: int = Field(description="Number of posts with the cluster.")
    terms: list[tuple[str, float]] = Field(
        description="(word, weight), heaviest first; comment clusters only."
    )
    comments: list[str]
    reactions: dict[str, float] = Field(description="Mean share of each reaction among its posts.")
    sample_posts: list[str]
    thumbnails_jpg: str | None = Field(
        None, description="Base64 of a strip of the sample posts' pictures, square, in their order."
    )


class ClusterPage(ResponseBody):
    """One page of clusters."""

    items: list[ClusterRow]
    total: int = Field(description="Number of clusters that match the search.")


class ClusterPair(ResponseBody):
    """A cluster of the other kind on the same posts."""

    cluster: int
    count: float = Field(description="Pairs of a comment label and a reaction label on the same post.")
    lift: float = Field(description="Observed over expected count, if the labels were independent.")


class ClusterDetail(ClusterRow):
    """A cluster with its strongest pairs of the other kind."""

    kind: ClusterKind
    pairs: list[ClusterPair] = Field(description="Strongest pairs with clusters of the other kind.")


class ClusterPoints(ResponseBody):
    """The map of the clusters: each list has one entry for each cluster."""

    clusters: list[int]
    x: list[float]
    y: list[float]
    sizes: list[int]
    titles: list[str] = Field(description="Top words, or the main reaction.")
