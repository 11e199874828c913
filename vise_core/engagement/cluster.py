"""The stage ``cluster``: fit features and centroids on the cluster subset (Sec. 3.1, step 1)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy import sparse

from vise_core.device import pick_device
from vise_core.engagement.clustering.kmeans import Clustering, How, Rows, fit_kmeans
from vise_core.engagement.clustering.lloyd import Share
from vise_core.engagement.clustering.shared import Lead
from vise_core.engagement.features.extractors import fit_extractor
from vise_core.engagement.features.reactions import reaction_vectors
from vise_core.engagement.features.terms import characteristic_terms
from vise_core.errors import BadInput, Stopped
from vise_core.formats.post import Post
from vise_core.formats.posts import ShardIndex
from vise_core.posts.subsets import in_cluster_subset
from vise_core.reporter import Reporter
from vise_core.specs.cluster import ClusterResult, ClusterSpec
from vise_core.specs.posts.subset import SubsetSpec

from .clusterer import MOST_TERMS, Clusterer
from .inspect import TOP_TERMS, inspect_comments, inspect_reactions
from .sampling import sample_comments


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
        extractor = fit_extractor(
            documents, spec.comments.extractor, inputs.get("text_encoder"), spec.compute.device
        )

        def between(done: int) -> None:
            _stop_if_asked(reporter)
            reporter.progress(done, None, "comments", phase=phase)

        kept, rows = extractor.known(documents, between)
        known, documents = len(kept), [documents[i] for i in kept.tolist()]
        _stop_if_asked(reporter)
        with _shared(spec, reporter) as share:
            how = _how(spec, rows, share, reporter)
            comments = fit_kmeans(rows, spec.comments.kmeans, spec.seed, "comments", how)
        _report(reporter, "comments", comments)
        if extractor.terms is None:
            terms = characteristic_terms(
                documents,
                comments.labels,
                comments.centroids.shape[0],
                MOST_TERMS,
                spec.comments.extractor.tokenizer,
            )
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


def _how(spec: ClusterSpec, rows: Rows, share: Share | None, reporter: Reporter) -> How:
    """Passes over the comments that tell how far they are, on the device that was asked for."""
    assert spec.comments is not None
    kmeans = spec.comments.kmeans
    phase = f"k-means, {kmeans.k} comment clusters"
    reporter.progress(0, kmeans.max_iter, "passes", phase=phase)

    def each(iteration: int, inertia: float) -> bool:
        reporter.metrics(iteration, {"inertia/comments": inertia})
        reporter.progress(iteration, kmeans.max_iter, "passes", phase=phase)
        _stop_if_asked(reporter)
        return False

    # Only passes over words can use a GPU; for the others it need not be looked for.
    device = pick_device(spec.compute.device) if sparse.issparse(rows) else "cpu"
    return How(device, each, share)


@contextmanager
def _shared(spec: ClusterSpec, reporter: Reporter) -> Iterator[Share | None]:
    """Has passes made by other workers too, where the spec says so and there are any."""
    board = reporter.board() if spec.helpers else None
    if board is None:
        yield None
        return
    led: list[Lead] = []

    def share(rows: sparse.csr_matrix, bits: int) -> Lead:
        led.append(
            Lead(
                board,
                rows,
                bits,
                ready=lambda: reporter.call_helpers(spec.helpers),
                threads=os.cpu_count() or 1,
                device=spec.compute.device,
            )
        )
        return led[0]

    try:
        yield share
    finally:
        board.drop()
    for lead in led:
        reporter.log(f"Other workers did {lead.helped} of {lead.made} blocks of comments.")


def _report(reporter: Reporter, what: str, clustering: Clustering) -> None:
    # One step after the inertia that the last pass began with.
    reporter.metrics(clustering.iterations + 1, {f"inertia/{what}": clustering.inertia})
    empty = int((np.bincount(clustering.labels, minlength=clustering.centroids.shape[0]) == 0).sum())
    reporter.log(
        f"{what}: {len(clustering.labels)} rows in {clustering.centroids.shape[0]} clusters after "
        f"{clustering.iterations} iterations, inertia {clustering.inertia:.4g}, {empty} empty."
    )


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.should_stop():
        raise Stopped("clustering was stopped; it starts from the beginning when it is resumed")
