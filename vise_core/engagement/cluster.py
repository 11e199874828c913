"""The stage ``cluster``: fit features and centroids on the cluster subset (Sec. 3.1, step 1)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vise_core.errors import BadInput, Stopped
from vise_core.posts.records import Post
from vise_core.posts.shards import ShardIndex
from vise_core.posts.subsets import in_cluster_subset
from vise_core.reporter import Reporter
from vise_core.specs.engagement import ClusterResult, ClusterSpec
from vise_core.specs.posts import SubsetSpec

from .clusterer import MOST_TERMS, Clusterer
from .extractors import fit_extractor
from .inspect import TOP_TERMS, inspect_comments, inspect_reactions
from .kmeans import Clustering, fit_kmeans
from .reactions import reaction_vectors
from .sampling import sample_comments
from .terms import characteristic_terms


def run(spec: ClusterSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> ClusterResult:
    """Artifacts: ``clusterer`` and ``inspection``. Raises BadInput where the subset is too small for k."""
    index = ShardIndex.open(inputs["posts"])
    posts = cluster_subset(index, spec.subset, reporter)
    if not posts:
        raise BadInput(
            f"posts: none of the {len(index)} posts falls in the cluster subset; "
            "give more posts or raise subset.cluster_fraction"
        )
    reporter.log(f"{len(posts)} of {len(index)} posts make the clusters and will not be pretrained on.")
    inspection: dict[str, object] = {"synthetic": index.synthetic, "comments": [], "reactions": []}
    extractor, comments, reactions, terms = None, None, None, None
    known = 0
    if spec.comments is not None:
        documents = [
            comment
            for post in posts
            for comment in sample_comments(post.id, post.comments, spec.comments.max_comments, spec.seed)
        ]
        phase = f"comment features ({spec.comments.extractor.kind})"
        reporter.progress(0, None, "comments", phase=phase)
        extractor = fit_extractor(documents, spec.comments.extractor, inputs.get("text_encoder"))

        def between(done: int) -> None:
            _stop_if_asked(reporter)
            reporter.progress(done, None, "comments", phase=phase)

        kept, rows = extractor.known(documents, between)
        known, documents = len(kept), [documents[i] for i in kept.tolist()]
        _stop_if_asked(reporter)
        reporter.progress(0, None, "comments", phase=f"k-means, {spec.comments.kmeans.k} comment clusters")
        comments = fit_kmeans(rows, spec.comments.kmeans, spec.seed, "comments")
        _report(reporter, "comments", comments)
        if extractor.terms is None:
            terms = characteristic_terms(documents, comments.labels, comments.centroids.shape[0], MOST_TERMS)
    if spec.reactions is not None:
        _stop_if_asked(reporter)
        vectors = reaction_vectors(np.array([post.reactions for post in posts]))
        vectors = vectors[vectors.any(axis=1)]
        reporter.progress(0, None, "posts", phase=f"k-means, {spec.reactions.kmeans.k} reaction clusters")
        reactions = fit_kmeans(vectors, spec.reactions.kmeans, spec.seed, "reactions")
        _report(reporter, "reactions", reactions)
        inspection["reactions"] = inspect_reactions(reactions.labels, reactions.centroids, vectors)
    clusterer = Clusterer(
        spec,
        extractor,
        None if comments is None else comments.centroids,
        None if reactions is None else reactions.centroids,
        index.synthetic,
        terms,
    )
    if comments is not None:
        top = clusterer.comment_terms(TOP_TERMS)
        inspection["comments"] = inspect_comments(comments, rows, documents, top)
    clusterer.save(workspace / "clusterer")
    reporter.artifact("clusterer", workspace / "clusterer")
    (workspace / "inspection.json").write_text(json.dumps(inspection, ensure_ascii=False, indent=1) + "\n")
    reporter.artifact("inspection", workspace / "inspection.json")
    return ClusterResult(
        posts=len(posts),
        comments=known,
        vocabulary=0 if extractor is None or extractor.terms is None else len(extractor.terms),
        comment_clusters=clusterer.comment_clusters,
        reaction_clusters=clusterer.reaction_clusters,
        comment_inertia=None if comments is None else comments.inertia,
        reaction_inertia=None if reactions is None else reactions.inertia,
        synthetic=index.synthetic,
    )


def cluster_subset(index: ShardIndex, subset: SubsetSpec, reporter: Reporter) -> list[Post]:
    """The posts of the cluster subset, ordered by id: the order of shards must not matter (trap 8)."""
    posts = []
    for number, post in enumerate(index.iterate_posts()):
        if in_cluster_subset(post.id, subset):
            posts.append(post)
        if number % 5000 == 0:
            _stop_if_asked(reporter)
            reporter.progress(number, len(index), "posts", phase="choosing the cluster subset")
    return sorted(posts, key=lambda post: post.id)


def _report(reporter: Reporter, what: str, clustering: Clustering) -> None:
    reporter.metrics(0, {f"inertia/{what}": clustering.inertia})
    empty = int((np.bincount(clustering.labels, minlength=clustering.centroids.shape[0]) == 0).sum())
    reporter.log(
        f"{what}: {len(clustering.labels)} rows in {clustering.centroids.shape[0]} clusters after "
        f"{clustering.iterations} iterations, inertia {clustering.inertia:.4g}, {empty} empty."
    )


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.should_stop():
        raise Stopped("clustering was stopped; it starts from the beginning when it is resumed")
