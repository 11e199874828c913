"""Counts over labelled posts, a batch at a time: cluster sizes, reactions, pairs of labels, samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.engagement.clusterer import PostLabels
from vise_core.formats.post import Post
from vise_core.specs.posts.fields import REACTIONS

from .samples import ClusterSamples

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Tally:
    """Running counts over batches of posts; memory does not grow with the number of posts.

    Attributes
    ----------
    posts: posts with a label of any kind. both: posts with labels of both kinds.
    comment_labels, comment_posts: (k_c,) labels, and posts, of each comment cluster.
    reaction_posts: (k_r,) posts of each reaction cluster.
    comment_shares, reaction_shares: (k, 5) sums over posts of the share of each reaction.
    comment_reacted: (k_c,) posts with reactions of each comment cluster.
    by_label, by_post: (k_c, k_r) weights of pairs of labels; each comment label, or each post, has a total weight of 1.
    comment_samples, reaction_samples: a few posts of each cluster.
    """

    def __init__(self, comment_clusters: int, reaction_clusters: int, sample: int, seed: int) -> None:
        self.posts = self.both = 0
        self.comment_labels, self.comment_posts, self.comment_reacted = (
            np.zeros(comment_clusters, dtype=np.int64) for _ in range(3)
        )
        self.reaction_posts = np.zeros(reaction_clusters, dtype=np.int64)
        self.comment_shares = np.zeros((comment_clusters, len(REACTIONS)))
        self.reaction_shares = np.zeros((reaction_clusters, len(REACTIONS)))
        shape = (comment_clusters, reaction_clusters)
        self.by_label, self.by_post = (sparse.csr_matrix(shape, dtype=np.float64) for _ in range(2))
        self.comment_samples = ClusterSamples(sample, seed)
        self.reaction_samples = ClusterSamples(sample, seed)

    def add(self, posts: Sequence[Post], labels: PostLabels) -> None:
        """Count a batch of posts. Posts without a label are not counted."""
        keys = [post.key for post in posts]
        shares = _reaction_shares(posts)
        lengths = np.array([len(row) for row in labels.comments], dtype=np.int64)
        clusters = np.array([c for row in labels.comments for c in row], dtype=np.int64)
        rows = np.repeat(np.arange(len(posts)), lengths)
        reactions = np.array([-1 if r is None else r for r in labels.reactions], dtype=np.int64)
        self.posts += int(((lengths > 0) | (reactions >= 0)).sum())
        self.both += int(((lengths > 0) & (reactions >= 0)).sum())

        self.comment_labels += np.bincount(clusters, minlength=len(self.comment_labels))
        # A post counts once for a cluster, however many of its comments are in it.
        pairs = np.unique(np.stack([rows, clusters]), axis=1)
        self.comment_posts += np.bincount(pairs[1], minlength=len(self.comment_posts))
        np.add.at(self.comment_shares, pairs[1], shares[pairs[0]])
        reacted = shares.sum(axis=1)[pairs[0]] > 0
        self.comment_reacted += np.bincount(pairs[1][reacted], minlength=len(self.comment_reacted))
        self.comment_samples.add([keys[i] for i in pairs[0].tolist()], pairs[1])

        labelled = np.flatnonzero(reactions >= 0)
        self.reaction_posts += np.bincount(reactions[labelled], minlength=len(self.reaction_posts))
        np.add.at(self.reaction_shares, reactions[labelled], shares[labelled])
        self.reaction_samples.add([keys[i] for i in labelled.tolist()], reactions[labelled])

        paired = reactions[rows] >= 0
        cells = (clusters[paired], reactions[rows[paired]])
        self.by_label += self._table(np.ones(int(paired.sum())), cells)
        self.by_post += self._table(1 / lengths[rows[paired]], cells)

    def _table(self, weights: Floats, cells: tuple[Ints, Ints]) -> sparse.csr_matrix:
        return sparse.coo_matrix((weights, cells), shape=self.by_label.shape).tocsr()


def _reaction_shares(posts: Sequence[Post]) -> Floats:
    """Return the share of each reaction, (n, 5); zeros for posts without reactions."""
    counts = np.array([post.reactions for post in posts], dtype=np.float64).reshape(-1, len(REACTIONS))
    totals = counts.sum(axis=1, keepdims=True)
    shares: npt.NDArray[np.float64] = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    return shares
