"""Ingest: posts from anywhere, checked one by one and written as shards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from .base import Result, Spec
from .compute import EngineCompute
from .estimate import Cost, InputFacts, Work
from .posts.sources import JsonlSource, PostSource, SampleSource
from .stage import InputRole, Stage


class IngestSpec(Spec):
    """Read posts of any layout, check each, and write WebDataset tar shards."""

    source: PostSource = Field(default_factory=JsonlSource, description="The layout that the posts come in.")
    posts_per_shard: int = Field(1000, ge=1, le=100_000, description="Posts in one tar shard.")
    max_image_pixels: int = Field(
        50_000_000, ge=1024, description="Larger images are rejected before they are decoded."
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
    compute: EngineCompute = Field(default_factory=EngineCompute)


class IngestResult(Result):
    """Result of ``ingest``. Artifacts: ``posts`` (folder of shards), ``report`` (JSON).

    Sample data has a third, ``evaluation_set``.
    """

    posts: int
    shards: int
    comments: int
    reactions: int
    rejected: dict[str, int] = Field(default_factory=dict, description="Rejected posts by reason.")
    repaired: dict[str, int] = Field(
        default_factory=dict, description="Posts that were kept after a repair, by reason."
    )
    read: int = Field(0, description="Posts found in the source: those kept and those rejected.")
    dropped: dict[str, int] = Field(
        default_factory=dict,
        description="What was left out of posts that were kept, and files that were not used, counted by reason; see "
        "``DROPPED``.",
    )
    other_reactions: dict[str, int] = Field(
        default_factory=dict, description="Reactions under names that are none of the five, by name."
    )
    unread_reactions: dict[str, int] = Field(
        default_factory=dict,
        description="Posts with reactions in fields that source.fields does not read, by field.",
    )
    warnings: tuple[str, ...] = Field((), description="Warnings about these posts, in sentences.")

    def headline(self) -> dict[str, float]:
        return {
            "posts": self.posts,
            "rejected": sum(self.rejected.values()),
            "comments": self.comments,
            **{reason: float(count) for reason, count in self.dropped.items() if count},
        }


DROPPED = {
    "comments_over_limit": "comments beyond max_comments of a post",
    "comments_cut": "comments cut at max_comment_characters",
    "comments_empty": "comments without a visible character",
    "comments_without_text": "comments without a text at source.fields.text",
    "replies_too_deep": "replies nested too deep",
    "other_reactions": "reactions of unknown names",
    "reactions_without_type": "reactions whose type the source does not state",
    "unread_reactions": "posts with reactions in fields that source.fields does not read",
    "posts_without_reactions": "posts whose reaction counts are all zero or missing",
    "posts_without_comments": "posts without a comment",
    "images_without_post": "image files that no post names",
    "other_files": "files that are neither images nor posts",
    "extra_members": "members of tar shards that are neither the image nor the JSON of a post",
}
"""Reason → what ``IngestResult.dropped`` counts under it."""


def _needed(spec: IngestSpec) -> tuple[str, ...]:
    return () if isinstance(spec.source, SampleSource) else ("source",)


def _work(spec: IngestSpec, facts: InputFacts) -> Work | None:
    kind = (spec.source.kind, spec.max_image_side)
    if isinstance(spec.source, SampleSource):
        images = spec.source.posts + spec.source.evaluation_images
        return Work(images, f"{images:,} images to generate", (*kind, spec.source.image_size))
    return None if facts.items is None else Work(facts.items, f"{facts.items:,} posts", kind)


def _facts(artifact: str, spec: Mapping[str, Any], result: Mapping[str, Any]) -> InputFacts:
    if artifact == "evaluation_set":
        return InputFacts(items=spec["source"].get("evaluation_images"))
    return InputFacts(items=result.get("posts") or None)


STAGE = Stage(
    name="ingest",
    title="Ingest",
    help="Read posts, check each, write shards.",
    runner="vise_core.posts.ingest:run",
    spec=IngestSpec,
    result=IngestResult,
    queue="cpu",
    inputs={
        "source": InputRole(
            help="Folder in the source's layout; none for sample data.", artifact="source", required=False
        )
    },
    outputs={
        "posts": "Tar shards of checked posts.",
        "report": "What was rejected or repaired, and why.",
        "evaluation_set": "Sample data only: six-emotion images, with masks.",
    },
    state_format="2",
    speed_only=("compute.engine", "compute.processes"),
    makes_data=True,
    presets={"Sample data (synthetic)": {"source": {"kind": "sample"}}},
    cost=Cost(work=_work, done=lambda result: result.get("posts")),
    needed=_needed,
    facts=_facts,
)
