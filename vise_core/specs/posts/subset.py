"""Which posts make clusters and which are pretrained on."""

from __future__ import annotations

from pydantic import Field

from ..base import Record


class SubsetSpec(Record):
    """The share of posts that is clustered; all others are for pretraining. Chosen by a hash of the post id, so stable."""

    cluster_fraction: float = Field(
        20 / 270,
        gt=0,
        lt=1,
        description="Share of posts that only make clusters and are never pretrained on (paper: 20M of 270M).",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the hash; another seed, another split.")
