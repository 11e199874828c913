"""The stage ``explore``: describe each cluster, and measure how comment and reaction labels agree.

With the input ``labels``, the posts with a label are counted. Without it, all posts are labelled first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vise_core.engagement.clusterer import Clusterer, PostLabels
from vise_core.engagement.sampling import sample_comments
from vise_core.errors import BadInput, Stopped
from vise_core.formats.explorer import ExplorerSummary, Kind, write_explorer_summary
from vise_core.formats.labels import LabelFacts, labels_by_key, read_label_facts
from vise_core.formats.post import Post
from vise_core.formats.posts import ShardIndex
from vise_core.reporter import Reporter
from vise_core.specs.explore import ExploreResult, ExploreSpec, LabelAgreement, LabelSpread
from vise_core.specs.posts.fields import REACTIONS
from vise_core.text.tokenize import redact

from .agreement import agreement, entropy, normalised_entropy, top_pairs
from .files import Samples, write_comments, write_reactions
from .projection import Plane, principal_plane
from .tally import Tally
from .thumbnails import small_jpeg

COMMENT_CHARACTERS = 200
_BATCH = 2000


def run(spec: ExploreSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> ExploreResult:
    """Publish ``explorer``. Raises BadInput if labels, clusterer and posts do not belong together, Stopped."""
    index, clusterer = ShardIndex.open(inputs["posts"]), Clusterer.load(inputs["clusterer"])
    labels = inputs.get("labels")
    facts = None if labels is None else _checked_facts(labels, clusterer)
    # Twice as many posts as comments to show, since comments may repeat.
    tally = Tally(
        clusterer.comment_clusters,
        clusterer.reaction_clusters,
        max(2 * spec.comments, spec.images),
        spec.seed,
    )
    for number in range(len(index.shards)):
        _raise_if_stopped(reporter)
        for posts, post_labels in _labelled(_fresh(index), number, clusterer, labels):
            tally.add(posts, post_labels)
        reporter.progress(number + 1, len(index.shards), "shards", phase="counting labels")
    if tally.posts == 0:
        raise BadInput("posts: no post has a label; label the posts with this clusterer first")
    samples = _gather(
        index, clusterer, tally, spec, reporter, own_comments=facts is None or not facts.shuffled
    )
    folder = workspace / "explorer"
    (folder / "thumbnails").mkdir(parents=True, exist_ok=True)
    result = ExploreResult(
        posts=tally.posts,
        comments=_spread(tally.comment_labels),
        reactions=_spread(tally.reaction_posts),
        agreement=_agreement(tally),
        synthetic=index.synthetic or clusterer.synthetic,
    )
    planes: dict[Kind, Plane] = {}
    if clusterer.comment_centroids is not None:
        planes["comments"] = principal_plane(clusterer.comment_centroids)
        write_comments(folder, clusterer, tally, samples, planes["comments"], spec)
    if clusterer.reaction_centroids is not None:
        planes["reactions"] = principal_plane(clusterer.reaction_centroids)
        write_reactions(folder, clusterer, tally, samples, planes["reactions"], spec)
    summary = ExplorerSummary(
        synthetic=result.synthetic,
        labels=facts is not None,
        shuffled=facts is not None and facts.shuffled,
        posts=tally.posts,
        reaction_names=REACTIONS,
        thumbnail=spec.thumbnail,
        comments=result.comments,
        reactions=result.reactions,
        agreement=result.agreement,
        pairs=tuple(top_pairs(tally.by_label, spec.pairs)),
        map_explained={kind: plane.explained for kind, plane in planes.items()},
    )
    write_explorer_summary(folder, summary)
    reporter.artifact("explorer", folder)
    return result


def _checked_facts(labels: Path, clusterer: Clusterer) -> LabelFacts:
    facts = read_label_facts(labels)
    expected = (clusterer.comment_clusters, clusterer.reaction_clusters)
    if (facts.comment_clusters, facts.reaction_clusters) != expected:
        raise BadInput(
            f"labels: made with {facts.comment_clusters} comment and {facts.reaction_clusters} reaction clusters, but "
            f"the clusterer has {expected[0]} and {expected[1]}: give the clusterer that made the labels"
        )
    return facts


def _fresh(index: ShardIndex) -> ShardIndex:
    """Return the index without its cache of shards, so that memory does not grow with their number."""
    return ShardIndex(index.folder, index.shards, index.starts, index.synthetic)


def _labelled(
    index: ShardIndex, number: int, clusterer: Clusterer, labels: Path | None
) -> Iterator[tuple[list[Post], PostLabels]]:
    """Yield the posts of a shard with their labels, a bounded number at a time."""
    by_key = None if labels is None else labels_by_key(labels, index.shards[number].name)
    stream = index.iterate_posts(number)
    while batch := list(islice(stream, _BATCH)):
        if by_key is None:
            yield batch, clusterer.label(batch)
        else:
            rows = [by_key.pop(post.key, ((), None)) for post in batch]
            yield batch, PostLabels([list(c) for c, _ in rows], [r for _, r in rows])
    if by_key:
        raise BadInput(
            f"labels: {len(by_key)} labelled posts are not in {index.shards[number].name}, such as "
            f"{next(iter(by_key))}: give the posts that the labels were made from"
        )


def _gather(
    index: ShardIndex,
    clusterer: Clusterer,
    tally: Tally,
    spec: ExploreSpec,
    reporter: Reporter,
    *,
    own_comments: bool,
) -> Samples:
    """Read the ids, small images and comments of the sampled posts.

    Without ``own_comments`` there are no comments: with shuffled labels, a post's comments do not belong to its cluster.
    """
    with_image: set[str] = set()
    clusters_of: dict[str, list[int]] = {key: [] for key in tally.reaction_samples.keys()}  # noqa: SIM118 - not a dict
    for cluster in range(clusterer.comment_clusters):
        sampled = tally.comment_samples.of(cluster)
        with_image.update(sampled[: spec.images])
        for key in sampled:
            clusters_of.setdefault(key, []).append(cluster)
    for cluster in range(clusterer.reaction_clusters):
        with_image.update(tally.reaction_samples.of(cluster)[: spec.images])
    samples = Samples()
    for number in range(len(index.shards)):
        _raise_if_stopped(reporter)
        shard = _fresh(index)
        posts: list[Post] = []
        for row, key in enumerate(shard.keys(number)):
            if key not in clusters_of:
                continue
            position = int(shard.starts[number]) + row
            posts.append(shard.read_post(position))
            samples.ids[key] = posts[-1].id
            if key in with_image:
                samples.images[key] = small_jpeg(shard.read_image(position), spec.thumbnail)
        if own_comments and spec.comments and posts:
            samples.comments |= _comments(clusterer, posts, clusters_of)
        reporter.progress(number + 1, len(index.shards), "shards", phase="reading the samples")
    return samples


def _comments(
    clusterer: Clusterer, posts: list[Post], clusters_of: dict[str, list[int]]
) -> dict[tuple[str, int], str]:
    """Return (key, cluster) → the post's first comment in that cluster, for the clusters it is a sample of."""
    if clusterer.spec.comments is None:
        return {}
    # One post per comment, so that a post's labels are those of the comment.
    single = [
        Post(post.id, (comment,))
        for post in posts
        for comment in sample_comments(
            post.id, post.comments, clusterer.spec.comments.max_comments, clusterer.spec.seed
        )
    ]
    comments: dict[tuple[str, int], str] = {}
    for start in range(0, len(single), _BATCH):
        batch = single[start : start + _BATCH]
        for post, clusters in zip(batch, clusterer.label(batch).comments, strict=True):
            for cluster in clusters:
                if cluster in clusters_of[post.key]:
                    comments.setdefault((post.key, cluster), redact(post.comments[0])[:COMMENT_CHARACTERS])
    return comments


def _spread(sizes: npt.NDArray[np.int64]) -> LabelSpread | None:
    if not sizes.sum():
        return None
    bits = entropy(sizes)
    return LabelSpread(
        clusters=len(sizes),
        used=int((sizes > 0).sum()),
        labels=int(sizes.sum()),
        entropy_bits=bits,
        normalised_entropy=normalised_entropy(sizes),
        perplexity=2.0**bits,
        largest_share=float(sizes.max() / sizes.sum()),
    )


def _agreement(tally: Tally) -> LabelAgreement | None:
    if not tally.both:
        return None
    by_label, by_post = agreement(tally.by_label, tally.both), agreement(tally.by_post, tally.both)
    return LabelAgreement(
        posts=tally.both,
        mutual_information_bits=by_label.mutual_information,
        nmi=by_label.nmi,
        # A sum of fractions, whose last digits depend on the order of shards.
        nmi_by_post=round(by_post.nmi, 9),
        nmi_chance=round(by_post.chance, 9),
    )


def _raise_if_stopped(reporter: Reporter) -> None:
    if reporter.should_stop():
        raise Stopped("exploring was stopped; it starts from the beginning when it is resumed")
