"""The stage ``cluster``: fit features and centroids on the cluster subset (Sec. 3.1, step 1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from scipy import sparse

from vise_core.device import pick_device
from vise_core.engagement.clustering.distributed import SharedPasses
from vise_core.engagement.clustering.kmeans import Clustering, PassOptions, Rows, fit_kmeans
from vise_core.engagement.clustering.lloyd import Distribute
from vise_core.engagement.features.extractors import Extractor, fit_extractor
from vise_core.engagement.features.reactions import reaction_vectors
from vise_core.engagement.features.terms import characteristic_terms
from vise_core.engine import Inline, engine
from vise_core.errors import BadInput, Stopped
from vise_core.formats.clusterer import Terms
from vise_core.formats.inspection import CommentCluster, Inspection, ReactionCluster, write_inspection
from vise_core.formats.post import Post
from vise_core.formats.posts import ShardIndex
from vise_core.posts.subsets import in_cluster_subset
from vise_core.reporter import Reporter
from vise_core.specs.cluster import ClusterResult, ClusterSpec, CommentClusterSpec, KMeansSpec
from vise_core.specs.posts.subset import SubsetSpec

from .clusterer import MOST_TERMS, Clusterer
from .inspect import TOP_TERMS, inspect_comments, inspect_reactions
from .sampling import sample_comments


def run(spec: ClusterSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> ClusterResult:
    """Fit the clusterer and publish ``clusterer`` and ``inspection``. Raises BadInput if the subset is too small."""
    index = ShardIndex.open(inputs["posts"])
    posts = cluster_subset(index, spec.subset, reporter)
    if not posts:
        raise BadInput(
            f"posts: none of the {len(index)} posts is in the cluster subset; "
            "give more posts or raise subset.cluster_fraction"
        )
    reporter.log(f"Clustering {len(posts)} of {len(index)} posts, which will not be pretrained on.")
    comments = (
        None
        if spec.comments is None
        else _fit_comments(spec, spec.comments, posts, inputs, workspace, reporter)
    )
    reactions: Clustering | None = None
    reaction_clusters: tuple[ReactionCluster, ...] = ()
    if spec.reactions is not None:
        reactions, reaction_clusters = _fit_reactions(spec.reactions.kmeans, spec.seed, posts, reporter)
    clusterer = Clusterer(
        spec,
        None if comments is None else comments.extractor,
        None if comments is None else comments.clustering.centroids,
        None if reactions is None else reactions.centroids,
        index.synthetic,
        None if comments is None else comments.terms,
    )
    comment_clusters: tuple[CommentCluster, ...] = ()
    if comments is not None:
        comment_clusters = inspect_comments(
            comments.clustering, comments.rows, comments.documents, clusterer.comment_terms(TOP_TERMS)
        )
    clusterer.save(workspace / "clusterer")
    reporter.artifact("clusterer", workspace / "clusterer")
    inspection = Inspection(synthetic=index.synthetic, comments=comment_clusters, reactions=reaction_clusters)
    write_inspection(workspace / "inspection.json", inspection)
    reporter.artifact("inspection", workspace / "inspection.json")
    vocabulary = None if comments is None else comments.extractor.terms
    return ClusterResult(
        posts=len(posts),
        comments=0 if comments is None else len(comments.documents),
        vocabulary=len(vocabulary or ()),
        comment_clusters=clusterer.comment_clusters,
        reaction_clusters=clusterer.reaction_clusters,
        comment_inertia=None if comments is None else comments.clustering.inertia,
        reaction_inertia=None if reactions is None else reactions.inertia,
        synthetic=index.synthetic,
    )


class CommentClusters(NamedTuple):
    """Fitted comment features and clusters.

    Attributes
    ----------
    documents: the m sampled comments that have features. rows: (m, extractor.dim) float32, their features.
    terms: characteristic words of each cluster; None if the features are words.
    """

    extractor: Extractor
    clustering: Clustering
    documents: list[str]
    rows: Rows
    terms: Terms | None


def _fit_comments(
    spec: ClusterSpec,
    comments: CommentClusterSpec,
    posts: list[Post],
    inputs: dict[str, Path],
    workspace: Path,
    reporter: Reporter,
) -> CommentClusters:
    documents = [
        comment
        for post in posts
        for comment in sample_comments(post.id, post.comments, comments.max_comments, spec.seed)
    ]
    phase = f"comment features ({comments.extractor.kind})"
    reporter.progress(0, None, "comments", phase=phase)
    extractor = fit_extractor(documents, comments.extractor, inputs.get("text_encoder"), spec.compute.device)

    def on_progress(done: int) -> None:
        _raise_if_stopped(reporter)
        reporter.progress(done, None, "comments", phase=phase)

    known, rows = extractor.known(documents, on_progress)
    documents = [documents[i] for i in known.tolist()]
    _raise_if_stopped(reporter)
    with _shared_passes(spec, rows, workspace, reporter) as distribute:
        options = _pass_options(spec, comments.kmeans, distribute, reporter)
        clustering = fit_kmeans(rows, comments.kmeans, spec.seed, "comments", options)
    _report(reporter, "comments", clustering)
    terms = None
    if extractor.terms is None:
        clusters = clustering.centroids.shape[0]
        terms = characteristic_terms(documents, clustering.labels, clusters, MOST_TERMS)
    return CommentClusters(extractor, clustering, documents, rows, terms)


def _fit_reactions(
    kmeans: KMeansSpec, seed: int, posts: list[Post], reporter: Reporter
) -> tuple[Clustering, tuple[ReactionCluster, ...]]:
    """Return the reaction clusters and their records for the inspection."""
    _raise_if_stopped(reporter)
    vectors = reaction_vectors(np.array([post.reactions for post in posts]))
    vectors = vectors[vectors.any(axis=1)]
    reporter.progress(0, None, "posts", phase=f"k-means, {kmeans.k} reaction clusters")
    reactions = fit_kmeans(vectors, kmeans, seed, "reactions")
    _report(reporter, "reactions", reactions)
    return reactions, inspect_reactions(reactions.labels, reactions.centroids, vectors)


def cluster_subset(index: ShardIndex, subset: SubsetSpec, reporter: Reporter) -> list[Post]:
    """Return the posts of the cluster subset, ordered by id, so that the order of shards does not matter (trap 8)."""
    posts = []
    for number, post in enumerate(index.iterate_posts()):
        if in_cluster_subset(post.id, subset):
            posts.append(post)
        if number % 5000 == 0:
            _raise_if_stopped(reporter)
            reporter.progress(number, len(index), "posts", phase="choosing the cluster subset")
    return sorted(posts, key=lambda post: post.id)


def _pass_options(
    spec: ClusterSpec, kmeans: KMeansSpec, distribute: Distribute | None, reporter: Reporter
) -> PassOptions:
    """Return options for passes over comments that report their progress, on the spec's device."""
    phase = f"k-means, {kmeans.k} comment clusters"
    reporter.progress(0, kmeans.max_iter, "passes", phase=phase)

    def on_pass(iteration: int, inertia: float) -> bool:
        reporter.metrics(iteration, {"inertia/comments": inertia})
        reporter.progress(iteration, kmeans.max_iter, "passes", phase=phase)
        _raise_if_stopped(reporter)
        return False

    return PassOptions(pick_device(spec.compute.device), on_pass, distribute)


@contextmanager
def _shared_passes(
    spec: ClusterSpec, rows: Rows, workspace: Path, reporter: Reporter
) -> Iterator[Distribute | None]:
    """Yield a function that shares passes over words with other processes, or None if this one makes them."""
    if not sparse.issparse(rows):
        yield None
        return
    with (
        engine(spec.compute, workspace, (), partial(_raise_if_stopped, reporter)) as workers,
        TemporaryDirectory(dir=workspace) as folder,
    ):
        # One process makes its passes on all cores and without files.
        yield (
            None
            if isinstance(workers, Inline)
            else lambda rows, bits: SharedPasses(workers, Path(folder), rows, bits, spec.compute.device)
        )


def _report(reporter: Reporter, name: str, clustering: Clustering) -> None:
    # One step after the last pass, which logged the inertia of the centroids before it.
    reporter.metrics(clustering.iterations + 1, {f"inertia/{name}": clustering.inertia})
    empty = int((np.bincount(clustering.labels, minlength=clustering.centroids.shape[0]) == 0).sum())
    reporter.log(
        f"{name}: {len(clustering.labels)} rows in {clustering.centroids.shape[0]} clusters after "
        f"{clustering.iterations} iterations, inertia {clustering.inertia:.4g}, {empty} empty."
    )


def _raise_if_stopped(reporter: Reporter) -> None:
    if reporter.should_stop():
        raise Stopped("clustering was stopped; it starts from the beginning when it is resumed")
