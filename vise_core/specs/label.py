"""Label: give each post of the pretrain subset its pseudo-labels (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from .base import Result, Spec
from .compute import DataCompute
from .estimate import Cost, per_item
from .stage import EXCLUDE, POSTS, InputRole, Stage


class LabelSpec(Spec):
    """Assign pseudo-labels to each post of the pretrain subset (Sec. 3.1, step 2)."""

    shuffle_engagement: bool = Field(
        False,
        description="Control: permute whole labels over posts, so that images and engagement no longer belong together.",
    )
    compute: DataCompute = Field(default_factory=DataCompute)


class LabelResult(Result):
    """Result of ``label``. Artifact: ``labels``, a folder with one Parquet file for each shard."""

    posts: int = Field(description="Posts with a label of at least one kind.")
    with_comments: int
    with_reactions: int
    unlabelled: int = Field(description="Posts left out: no comment and no reaction label.")
    held_for_clusters: int = Field(description="Posts left out: they made the clusters.")
    excluded: int = Field(0, description="Posts left out: the input exclude names them.")
    exclude_unmatched: int = Field(0, description="Ids of the input exclude that match no post.")

    def headline(self) -> dict[str, float]:
        excluded = {"excluded": self.excluded} if self.excluded or self.exclude_unmatched else {}
        return {"labelled": self.posts, "unlabelled": self.unlabelled, **excluded}


def _labelled(result: Mapping[str, Any]) -> int:
    """Posts that a past run went through, with a label or without."""
    return sum(result.get(count, 0) for count in ("posts", "unlabelled", "held_for_clusters"))


STAGE = Stage(
    name="label",
    title="Label",
    help="Give each post of the pretrain subset its pseudo-labels.",
    runner="vise_core.engagement.label:run",
    spec=LabelSpec,
    result=LabelResult,
    queue="cpu",
    inputs={
        "posts": POSTS,
        "clusterer": InputRole(help="Made by cluster.", artifact="clusterer"),
        "exclude": EXCLUDE,
    },
    outputs={"labels": "One Parquet file a shard."},
    speed_only=("compute.engine", "compute.processes"),
    presets={"Paper": {}, "Control: shuffled engagement": {"shuffle_engagement": True}},
    cost=Cost(work=per_item("posts"), done=_labelled),
)
