"""Pseudo-labels of all posts to train on, compact in memory and checked against the posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vise_core.errors import BadInput
from vise_core.formats.labels import label_file, read_label_facts, read_label_table
from vise_core.formats.posts import ShardIndex
from vise_core.posts.subsets import pretrain_rank
from vise_core.specs.pretrain import Signal

from .objective import NO_LABEL, comment_targets

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelTable:
    """Labels of n posts: 12 bytes a post and 4 a comment.

    Attributes
    ----------
    images: (n,) int64, the post's place in the ShardIndex.
    comment_ids: int32, comment labels of all posts, one after the other.
    comment_starts: (n + 1,) int64, where each post's labels begin.
    reactions: (n,) int32, NO_LABEL where there is none.
    clusters: number of clusters of each signal.
    synthetic: whether posts or labels come from sample data.
    excluded: posts that were left out because the user named them.
    """

    images: Ints
    comment_ids: npt.NDArray[np.int32]
    comment_starts: Ints
    reactions: npt.NDArray[np.int32]
    clusters: dict[Signal, int]
    synthetic: bool
    excluded: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def labelled(self, rows: Ints) -> dict[str, int]:
        """Return the number of ``rows``, (n,) int64, that have a label, by signal."""
        return {
            "comments": int((self.comment_starts[rows + 1] > self.comment_starts[rows]).sum()),
            "reactions": int((self.reactions[rows] != NO_LABEL).sum()),
        }

    def targets(
        self, rows: Ints, signals: Sequence[Signal], mode: Literal["frequency", "unique"]
    ) -> dict[str, Tensor]:
        """Return the dense targets of a batch by signal: comments (n, k) float32, reactions (n,) int64."""
        targets: dict[str, Tensor] = {}
        if "comments" in signals:
            ids = [
                self.comment_ids[self.comment_starts[r] : self.comment_starts[r + 1]].tolist() for r in rows
            ]
            targets["comments"] = comment_targets(ids, self.clusters["comments"], mode)
        if "reactions" in signals:
            targets["reactions"] = torch.from_numpy(self.reactions[rows].astype(np.int64))
        return targets


def read_labels(
    folder: Path,
    posts: ShardIndex,
    signals: Sequence[Signal],
    *,
    limit: int | None = None,
    seed: int = 0,
    exclude: frozenset[str] = frozenset(),
) -> LabelTable:
    """Return the labels of a ``labels`` artifact, in the order of the shards.

    Posts without a label of any of ``signals`` are left out. With ``limit`` the posts of lowest ``pretrain_rank`` are
    kept, so that a smaller subset lies within a larger one of that seed. Posts whose key is in ``exclude`` are left out
    first. Raises BadInput, naming the file and the post, if labels are missing, damaged or of other posts, or if a
    signal was not clustered.
    """
    facts = read_label_facts(folder)
    clusters: dict[Signal, int] = {"comments": facts.comment_clusters, "reactions": facts.reaction_clusters}
    for signal in signals:
        if clusters[signal] < 1:
            raise BadInput(
                f"signals: {signal} were not clustered; cluster and label them, or remove them from signals"
            )
    parts: list[tuple[Ints, npt.NDArray[np.int32], Ints, npt.NDArray[np.int32], npt.NDArray[np.uint64]]] = []
    for number in range(len(posts.shards)):
        parts.append(_read_shard(folder, posts, number, clusters, seed if limit is not None else None))
    images, ids, lengths, reactions, ranks = (np.concatenate(column) for column in zip(*parts, strict=True))
    usable = np.zeros(len(images), dtype=bool)
    if "comments" in signals:
        usable |= lengths > 0
    if "reactions" in signals:
        usable |= reactions != NO_LABEL
    excluded = usable & ~allowed_rows(posts, images, exclude)
    kept = np.flatnonzero(usable & ~excluded)
    if limit is not None:
        kept = np.sort(kept[np.argsort(ranks[kept], kind="stable")[:limit]])
    is_kept = np.zeros(len(images), dtype=bool)
    is_kept[kept] = True
    return LabelTable(
        images=images[kept],
        comment_ids=ids[np.repeat(is_kept, lengths)],
        comment_starts=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths[kept])]),
        reactions=reactions[kept],
        clusters=clusters,
        synthetic=posts.synthetic or facts.synthetic,
        excluded=int(excluded.sum()),
    )


def allowed_rows(posts: ShardIndex, images: Ints, exclude: frozenset[str]) -> npt.NDArray[np.bool_]:
    """Return a mask of the posts at these places of the index that are not excluded, (n,) bool."""
    allowed = np.ones(len(posts), dtype=bool)
    if exclude:
        for number in range(len(posts.shards)):
            keys = posts.keys(number)
            start = int(posts.starts[number])
            allowed[start : start + len(keys)] = [key not in exclude for key in keys]
    return allowed[images]


def unlabelled(
    posts: ShardIndex, *, limit: int | None = None, seed: int = 0, exclude: frozenset[str] = frozenset()
) -> LabelTable:
    """Return a table of all posts without labels; ``limit`` and ``exclude`` are those of ``read_labels``."""
    places = np.arange(len(posts), dtype=np.int64)
    images = places[allowed_rows(posts, places, exclude)]
    excluded = len(places) - len(images)
    if limit is not None:
        ranks = np.array([pretrain_rank(post.id, seed) for post in posts.iterate_posts()], dtype=np.uint64)
        images = np.sort(images[np.argsort(ranks[images], kind="stable")[:limit]])
    return LabelTable(
        images=images,
        comment_ids=np.empty(0, dtype=np.int32),
        comment_starts=np.zeros(len(images) + 1, dtype=np.int64),
        reactions=np.full(len(images), NO_LABEL, dtype=np.int32),
        clusters={"comments": 0, "reactions": 0},
        synthetic=posts.synthetic,
        excluded=excluded,
    )


def _read_shard(
    folder: Path, posts: ShardIndex, number: int, clusters: dict[Signal, int], rank_seed: int | None
) -> tuple[Ints, npt.NDArray[np.int32], Ints, npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """Return (images, comment ids, comment labels per post, reactions, ranks) of one shard. Raises BadInput."""
    path = label_file(folder, posts.shards[number].name)
    table = read_label_table(path)
    place = {key: i for i, key in enumerate(posts.keys(number))}
    keys = table["key"].to_pylist()
    for key, post_id in zip(keys, table["post_id"].to_pylist(), strict=True):
        if key not in place:
            raise BadInput(f"{path}: post {post_id!r} is not in {posts.shards[number].name}: label again")
    images = np.array([place[key] for key in keys], dtype=np.int64) + int(posts.starts[number])
    lists = table["comment_labels"].combine_chunks()
    lengths = np.asarray(lists.value_lengths().fill_null(0), dtype=np.int64)
    ids = np.asarray(lists.flatten(), dtype=np.int32)
    reactions = np.asarray(table["reaction_label"].combine_chunks().fill_null(NO_LABEL), dtype=np.int32)
    if len(ids) and not 0 <= ids.min() <= ids.max() < clusters["comments"]:
        raise BadInput(f"{path}: a comment label is not below {clusters['comments']}: label again")
    if len(reactions) and not NO_LABEL <= reactions.min() <= reactions.max() < clusters["reactions"]:
        raise BadInput(f"{path}: a reaction label is not below {clusters['reactions']}: label again")
    ranks: npt.NDArray[np.uint64] = np.zeros(len(keys), dtype=np.uint64)
    if rank_seed is not None:
        ranks = np.array([pretrain_rank(p, rank_seed) for p in table["post_id"].to_pylist()], dtype=np.uint64)
    return images, ids, lengths, reactions, ranks
