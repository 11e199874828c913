"""Specs of the post record, of ingest and of the sample data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Record, Result, Spec

REACTIONS = ("haha", "sorry", "angry", "wow", "love")
"""The five reaction buttons, in the order in which every vector holds them (Sec. 3.2)."""

EMOTIONS = ("anger", "fear", "joy", "love", "sadness", "surprise")
"""The six classes of UnbiasedEmotion, and of the sample evaluation set."""


class JsonlSource(Record):
    """A folder with one JSON object a line and the images beside it."""

    kind: Literal["jsonl"] = "jsonl"
    posts: str = Field("posts.jsonl", description="The file of posts, relative to the folder.")
    images: str = Field("images", description="The folder of images, relative to the folder.")


class ParquetSource(Record):
    """Parquet files with the columns id, image (bytes), comments, reactions."""

    kind: Literal["parquet"] = "parquet"


class WebDatasetSource(Record):
    """Tar shards that hold <key>.json and <key>.jpg (or png, webp) for each post."""

    kind: Literal["webdataset"] = "webdataset"


class SampleSource(Record):
    """Generated posts and a matching six-emotion evaluation set. Synthetic, and shown as such."""

    kind: Literal["sample"] = "sample"
    posts: int = Field(6000, ge=10, le=1_000_000, description="How many posts to generate.")
    evaluation_images: int = Field(
        600, ge=60, le=60_000, description="How many labelled images the evaluation set holds."
    )
    image_size: int = Field(64, ge=32, le=512, description="Side of the generated images, pixels.")


PostSource = Annotated[
    JsonlSource | ParquetSource | WebDatasetSource | SampleSource, Field(discriminator="kind")
]


class IngestSpec(Spec):
    """Read posts from anywhere, check each, and write WebDataset tar shards."""

    source: PostSource = Field(default_factory=JsonlSource, description="The layout that the posts come in.")
    posts_per_shard: int = Field(1000, ge=1, le=100_000, description="Posts in one tar shard.")
    max_image_pixels: int = Field(
        50_000_000, ge=1024, description="Larger images are refused before they are decoded."
    )
    max_image_side: int = Field(
        512,
        ge=32,
        le=8192,
        description="Images with a longer shorter side are scaled down to it when stored.",
    )
    max_comments: int = Field(
        10_000, ge=1, description="Comments kept of one post; more are cut, and the post counted."
    )
    max_comment_characters: int = Field(2000, ge=1, description="Longer comments are cut, and counted.")


class Refusals(Record):
    """Posts that were refused, or kept after a repair, counted by reason."""

    refused: dict[str, int] = Field(default_factory=dict)
    normalised: dict[str, int] = Field(default_factory=dict)


class IngestResult(Result):
    """Artifacts: ``posts`` (folder of shards), ``report`` (JSON), and for sample data ``evaluation_set``."""

    posts: int
    shards: int
    comments: int
    reactions: int
    refusals: Refusals

    def headline(self) -> dict[str, float]:
        return {
            "posts": self.posts,
            "refused": sum(self.refusals.refused.values()),
            "comments": self.comments,
        }


class SubsetSpec(Record):
    """Which posts make clusters and which are pretrained on: by a hash of the post id, so stable."""

    cluster_fraction: float = Field(
        20 / 270,
        gt=0,
        lt=1,
        description="Share of posts that only make clusters and are never pretrained on (paper: 20M of 270M).",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the hash; another seed, another split.")
