"""Explore: what each cluster is about, and how comment and reaction labels agree."""

from __future__ import annotations

from pydantic import Field

from .base import Record, Result, Spec
from .estimate import Cost, per_item
from .stage import POSTS, InputRole, Stage


class ExploreSpec(Spec):
    """Describe each cluster by its terms and samples, and measure how comment and reaction labels agree."""

    terms: int = Field(12, ge=1, le=100, description="Top terms shown of each comment cluster.")
    comments: int = Field(8, ge=0, le=100, description="Sample comments shown of each comment cluster.")
    images: int = Field(6, ge=0, le=50, description="Sample images shown of each cluster.")
    thumbnail: int = Field(64, ge=16, le=256, description="Side of a sample image, pixels.")
    pairs: int = Field(50, ge=1, le=10_000, description="Pairs of a comment and a reaction cluster shown.")


class LabelSpread(Record):
    """How the labels of one kind are distributed over its clusters."""

    clusters: int
    used: int = Field(description="Clusters with at least one label.")
    labels: int
    entropy_bits: float
    normalised_entropy: float = Field(description="1 where all clusters are even, 0 where all is in one.")
    perplexity: float = Field(description="2 to the entropy: as many even clusters would be as uncertain.")
    largest_share: float


class LabelAgreement(Record):
    """Agreement of the comment and reaction labels of the same posts."""

    posts: int = Field(description="Posts with both kinds of labels.")
    mutual_information_bits: float = Field(
        description="Each comment label paired with its post's reaction label."
    )
    nmi: float = Field(
        description="Normalised mutual information (mean of the entropies), each comment label counting one."
    )
    nmi_by_post: float = Field(description="The same with each post counting one, shared among its labels.")
    nmi_chance: float = Field(description="About what independent labels would show for nmi_by_post.")


class ExploreResult(Result):
    """Result of ``explore``. Artifact: ``explorer``, a folder.

    It holds ``explorer.json``, ``comments.parquet``, ``reactions.parquet`` and ``thumbnails/``.
    """

    posts: int = Field(description="Posts with a label; only these are counted.")
    comments: LabelSpread | None
    reactions: LabelSpread | None
    agreement: LabelAgreement | None = Field(description="None where there is only one kind of labels.")

    def headline(self) -> dict[str, float]:
        values: dict[str, float] = {"posts": self.posts}
        if self.comments is not None:
            values["comment_entropy"] = self.comments.entropy_bits
        if self.reactions is not None:
            values["reaction_entropy"] = self.reactions.entropy_bits
        if self.agreement is not None:
            values["nmi"] = self.agreement.nmi
        return values


STAGE = Stage(
    name="explore",
    title="Explore clusters",
    help="Gather what each cluster is about, and how comment and reaction labels agree.",
    runner="vise_core.engagement.explore.stage:run",
    spec=ExploreSpec,
    result=ExploreResult,
    queue="cpu",
    inputs={
        "posts": POSTS,
        "clusterer": InputRole(help="Made by cluster.", artifact="clusterer"),
        "labels": InputRole(
            help="Made by label; without, every post is labelled again.", artifact="labels", required=False
        ),
    },
    outputs={"explorer": "Clusters with terms, samples and a map; entropy and agreement of labels."},
    cost=Cost(work=per_item("posts"), done=lambda result: result.get("posts")),
)
