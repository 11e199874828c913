"""Cluster: fit the comment and reaction clusterers (Sec. 3.1, 3.2, App. C.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .base import Record, Result, Spec
from .compute import DataCompute
from .estimate import Cost, InputFacts, Work
from .posts.subset import SubsetSpec
from .stage import POSTS, InputRole, Stage


class TfidfSpec(Record):
    """Bag of words with TF-IDF weights, fitted on the cluster subset only and then frozen."""

    kind: Literal["tfidf"] = "tfidf"
    max_features: int = Field(50_000, ge=10, description="Vocabulary size: the most frequent words are kept.")
    min_df: int = Field(2, ge=1, description="Words in fewer comments than this are left out.")
    lowercase: bool = Field(True, description="Fold case before counting.")
    sublinear_tf: bool = Field(False, description="Use 1 + log(tf) in place of tf.")


class SentenceSpec(Record):
    """Sentence embeddings of a frozen encoder: the input ``text_encoder``, or without it all-MiniLM-L6-v2.

    A comment is embedded with its links and mentions replaced; the vector is the mean over its tokens, of norm 1.
    """

    kind: Literal["sentence"] = "sentence"
    max_tokens: int = Field(
        64, ge=4, le=8192, description="Tokens read of a comment, at most what the encoder can take."
    )
    emoji_names: bool = Field(
        True,
        description="Write an emoji as its Unicode name: many encoders have no emoji in their vocabulary.",
    )


Extraction = Annotated[TfidfSpec | SentenceSpec, Field(discriminator="kind")]


class KMeansSpec(Record):
    """Parameters of k-means over one kind of engagement (Sec. 3.2)."""

    algorithm: Literal["kmeans", "minibatch", "spherical"] = Field(
        "kmeans", description="Lloyd's k-means, its mini-batch form, or k-means on the unit sphere."
    )
    k: int = Field(ge=2, le=100_000, description="Number of clusters.")
    max_iter: int = Field(50, ge=1, le=10_000, description="Most passes over the data.")
    tol: float = Field(1e-4, ge=0, description="Stop once the centroids move less than this, relative.")


class CommentClusterSpec(Record):
    """How comments are clustered: each comment is one document."""

    max_comments: int = Field(100, ge=1, description="Comments sampled of one post (Sec. 3.2: 100).")
    extractor: Extraction = Field(default_factory=TfidfSpec)
    kmeans: KMeansSpec = Field(default_factory=lambda: KMeansSpec(k=5000))

    @field_validator("extractor", mode="before")
    @classmethod
    def _tfidf_where_no_kind_is_named(cls, value: Any) -> Any:
        return {"kind": "tfidf", **value} if isinstance(value, dict) else value


class ReactionClusterSpec(Record):
    """How reactions are clustered: the five counts of a post are one L2-normalised vector."""

    kmeans: KMeansSpec = Field(default_factory=lambda: KMeansSpec(k=128))


class ClusterSpec(Spec):
    """Fit the comment and reaction clusterers on the cluster subset (Sec. 3.1, step 1)."""

    subset: SubsetSpec = Field(default_factory=SubsetSpec)
    comments: CommentClusterSpec | None = Field(default_factory=CommentClusterSpec)
    reactions: ReactionClusterSpec | None = Field(default_factory=ReactionClusterSpec)
    compute: DataCompute = Field(default_factory=DataCompute)

    @model_validator(mode="after")
    def _one_signal_at_least(self) -> ClusterSpec:
        if self.comments is None and self.reactions is None:
            raise ValueError("comments and reactions are both null: keep at least one of them")
        return self


class ClusterResult(Result):
    """Result of ``cluster``.

    Artifacts: ``clusterer`` (folder), ``inspection`` (JSON: terms, sizes, examples, mean reactions).
    """

    posts: int = Field(description="Posts of the cluster subset.")
    comments: int = Field(description="Sampled comments that had a known word.")
    vocabulary: int = Field(description="Words that count; 0 for sentence embeddings.")
    comment_clusters: int
    reaction_clusters: int
    comment_inertia: float | None
    reaction_inertia: float | None

    def headline(self) -> dict[str, float]:
        return {"comment_clusters": self.comment_clusters, "reaction_clusters": self.reaction_clusters}


def _work(spec: ClusterSpec, facts: InputFacts) -> Work | None:
    if facts.items is None:
        return None
    clusters = tuple(
        part and (part.kmeans.algorithm, part.kmeans.k) for part in (spec.comments, spec.reactions)
    )
    extractor = spec.comments and spec.comments.extractor.kind
    return Work(facts.items, f"{facts.items:,} posts of the cluster subset", (*clusters, extractor))


def _facts(artifact: str, spec: Mapping[str, Any], result: Mapping[str, Any]) -> InputFacts:
    clusters = result.get("comment_clusters", 0) + result.get("reaction_clusters", 0)
    return InputFacts(items=result.get("posts"), classes=clusters or None)


STAGE = Stage(
    name="cluster",
    title="Cluster",
    help="Fit the comment and reaction clusterers on the cluster subset.",
    runner="vise_core.engagement.cluster:run",
    spec=ClusterSpec,
    result=ClusterResult,
    queue="cpu",
    inputs={
        "posts": POSTS,
        "text_encoder": InputRole(
            help="For comments.extractor.kind sentence: a folder with a sentence encoder as transformers saves "
            "it. Without: the packaged all-MiniLM-L6-v2.",
            artifact="text_encoder",
            required=False,
        ),
    },
    speed_only=("compute.engine", "compute.processes"),
    outputs={
        "clusterer": "Frozen comment features and centroids.",
        "inspection": "Terms, sizes and examples.",
    },
    measures=True,
    presets={
        "Paper: 5000 comment and 128 reaction clusters": {},
        "Sentence embeddings in place of TF-IDF": {"comments": {"extractor": {"kind": "sentence"}}},
    },
    cost=Cost(
        work=_work,
        used=lambda spec, posts: round(posts * spec.subset.cluster_fraction),
        done=lambda result: result.get("posts"),
    ),
    facts=_facts,
)
