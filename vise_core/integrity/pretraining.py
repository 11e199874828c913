"""Check for leaks of the task or the cluster subset into the pretraining posts (Sec. 3.1; method 7, trap 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vise_core.engine import Engine, Inline
from vise_core.formats.labels import label_batches, label_file, read_label_table
from vise_core.formats.post import post_key
from vise_core.formats.posts import ShardIndex
from vise_core.posts.subsets import in_cluster_subset
from vise_core.specs.integrity import IntegrityCheck, IntegrityExample, IntegrityLimits, IntegrityVerdict
from vise_core.specs.posts.subset import SubsetSpec
from vise_core.tasks import LabelledImages, Split

from .cache import shard_fingerprints
from .fingerprints import Fingerprints, OnProgress
from .near_duplicates import duplicates_between
from .overlap import reported_part


@dataclass(frozen=True)
class PostCopy:
    """A post whose image is a duplicate of an image of the task.

    Attributes
    ----------
    image: index in the task. post: index over all shards.
    kind: identical, copy or mirrored copy. difference: in grey levels.
    """

    image: int
    post: int
    kind: str
    difference: float


@dataclass(frozen=True, eq=False)
class PostMatches:
    """Duplicates of a task's images among posts.

    Attributes
    ----------
    posts: number of posts that were compared.
    identical: (n_images,) int64, number of posts with the same file.
    copies: (n_images,) int64, number of posts with a copy that is not the same file.
    nearest: index of an image → its most similar post.
    crowded: number of images with so many candidates that only the nearest were verified.
    pairs: all pairs of an image and a post.
    """

    posts: int
    identical: npt.NDArray[np.int64]
    copies: npt.NDArray[np.int64]
    nearest: dict[int, PostCopy]
    crowded: int
    pairs: tuple[PostCopy, ...] = ()


def labelled_keys(labels: Path, shard: str) -> set[str]:
    """Return the keys of the posts of a shard that have a label; ``shard`` is its name in the posts' index."""
    return set(read_label_table(label_file(labels, shard), ["key"])["key"].to_pylist())


def find_in_posts(
    prints: Fingerprints,
    posts: Path,
    labels: Path | None,
    cache: Path | None,
    *,
    perceptual: bool = True,
    engine: Engine = Inline(),
    threads: int = 1,
    on_progress: OnProgress | None = None,
) -> PostMatches:
    """Search for a task's images among the pretraining posts, a shard at a time.

    The pretraining posts are those with a label, or all posts if ``labels`` is None.
    """
    index = ShardIndex.open(posts)
    identical, copies = (np.zeros(len(prints), dtype=np.int64) for _ in range(2))
    nearest: dict[int, PostCopy] = {}
    pairs: list[PostCopy] = []
    compared = crowded = 0
    for number, shard in enumerate(index.shards):
        theirs = shard_fingerprints(posts, number, cache, engine=engine, on_progress=on_progress)
        rows = np.arange(len(theirs))
        if labels is not None:
            keys = labelled_keys(labels, shard.name)
            rows = np.array([i for i, key in enumerate(index.keys(number)) if key in keys], dtype=np.int64)
        theirs = theirs.take(rows)
        if not perceptual:
            theirs = theirs.by_content_only()
        matches = duplicates_between(prints, theirs, threads=threads)
        compared, crowded = compared + len(theirs), crowded + matches.crowded
        np.add.at(identical, matches.first[matches.identical], 1)
        np.add.at(copies, matches.first[~matches.identical], 1)
        columns = (matches.first, matches.second, matches.identical, matches.mirrored, matches.difference)
        for image, row, same, mirrored, difference in zip(*(c.tolist() for c in columns), strict=True):
            kind = "identical" if same else "mirrored copy" if mirrored else "copy"
            copy = PostCopy(image, int(index.starts[number]) + int(rows[row]), kind, difference)
            pairs.append(copy)
            best = nearest.get(image)
            if best is None or (not same, difference) < (best.kind != "identical", best.difference):
                nearest[image] = copy
    return PostMatches(compared, identical, copies, nearest, crowded, tuple(pairs))


@dataclass(frozen=True)
class CopiedPost:
    """A row of ``copies.csv``; ``reported`` is True if a result is reported on the image."""

    post_id: str
    image: str
    kind: str
    difference: float
    reported: bool


def copied_posts(
    images: LabelledImages, splits: Sequence[Split], matches: PostMatches, index: ShardIndex
) -> list[CopiedPost]:
    """Return all pairs of an image and a post, in the order of posts; any split makes an image reported."""
    reported = {int(image) for split in splits for image in reported_part(split)}
    return [
        CopiedPost(
            index.read_post(copy.post).id,
            images.relative_path(copy.image),
            copy.kind,
            round(copy.difference, 3),
            copy.image in reported,
        )
        for copy in sorted(matches.pairs, key=lambda copy: (copy.post, copy.image))
    ]


def pretraining_overlap(
    images: LabelledImages,
    splits: Sequence[Split],
    matches: PostMatches,
    index: ShardIndex,
    limits: IntegrityLimits,
    examples: int,
) -> IntegrityCheck:
    """Check how many of the reported images are among the pretraining posts; the worst split counts."""
    seen = (matches.identical + matches.copies) > 0
    shares = [float(seen[reported_part(split)].mean()) for split in splits]
    worst = int(np.argmax(shares))
    reported = reported_part(splits[worst])
    part = "test" if len(splits[worst].test) else "val"
    affected = int(seen[reported].sum())
    counts = {
        "posts": float(matches.posts),
        "images": float(len(images)),
        "images_seen": float(seen.sum()),
        "images_seen_identical": float((matches.identical > 0).sum()),
        "pairs": float(matches.identical.sum() + matches.copies.sum()),
        "split": float(worst),
        "affected": float(affected),
        "reported": float(len(reported)),
        "share": shares[worst],
        "crowded": float(matches.crowded),
    }
    verdict: IntegrityVerdict = "ok"
    if affected:
        verdict = "failed" if shares[worst] > limits.overlap else "warning"
        of = f" of split {worst}" if len(splits) > 1 else ""
        sentence = (
            f"{affected} of {len(reported)} {part} images{of} ({100 * shares[worst]:.2f} %) are among the "
            f"{matches.posts} pretraining posts. Leave those posts out, label and pretrain again."
        )
    elif seen.any():
        verdict = "warning"
        sentence = f"No {part} image is among the {matches.posts} pretraining posts, but {int(seen.sum())} others of the task are."
    else:
        sentence = f"None of the task's {len(images)} images is among the {matches.posts} pretraining posts."
    return IntegrityCheck(
        name="pretraining_overlap",
        verdict=verdict,
        sentence=sentence,
        counts=counts,
        examples=tuple(
            IntegrityExample(
                first=images.relative_path(copy.image),
                second=index.read_post(copy.post).id,
                kind=copy.kind,
                where=f"{part if copy.image in reported else 'train or val'} / post",
                difference=round(copy.difference, 3),
            )
            for copy in nearest_posts(matches, reported, examples)
        ),
    )


def nearest_posts(matches: PostMatches, reported: npt.NDArray[np.int64], most: int) -> list[PostCopy]:
    """Return the ``most`` copies to show: first those of ``reported`` images, (n,) int64, then the most similar."""
    reported_images = set(reported.tolist())
    return sorted(
        matches.nearest.values(),
        key=lambda copy: (
            copy.image not in reported_images,
            copy.kind != "identical",
            copy.difference,
            copy.image,
        ),
    )[:most]


def cluster_leak(labels: Path, subset: SubsetSpec, examples: int) -> IntegrityCheck:
    """Check that no post of the cluster subset has a pretraining label."""
    posts = leaked = wrong = 0
    shown: list[IntegrityExample] = []
    for batch in label_batches(labels):
        for post_id, key in zip(batch["post_id"].to_pylist(), batch["key"].to_pylist(), strict=True):
            posts += 1
            if in_cluster_subset(post_id, subset):
                leaked += 1
                if len(shown) < examples:
                    shown.append(IntegrityExample(first=post_id, kind="in the cluster subset"))
            if key != post_key(post_id):
                wrong += 1
                if len(shown) < examples:
                    shown.append(IntegrityExample(first=post_id, kind="its key is that of another post"))
    counts = {
        "posts": float(posts),
        "leaked": float(leaked),
        "wrong_keys": float(wrong),
        "cluster_fraction": subset.cluster_fraction,
    }
    verdict: IntegrityVerdict = "failed" if leaked or wrong else "ok"
    if leaked:
        sentence = (
            f"{leaked} of {posts} posts with a pretraining label are in the cluster subset (fraction "
            f"{subset.cluster_fraction:.4g}, seed {subset.seed}): label again with the clusterer's own subset."
        )
    elif wrong:
        sentence = f"{wrong} of {posts} labels have a key that is not their post's: label again."
    else:
        sentence = f"None of the {posts} posts with a pretraining label is in the cluster subset."
    return IntegrityCheck(
        name="cluster_leak", verdict=verdict, sentence=sentence, counts=counts, examples=tuple(shown)
    )
