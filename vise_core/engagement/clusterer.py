"""A fitted clusterer, which labels posts by their engagement and is saved to and loaded from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.engagement.clustering.inverted import InvertedIndex
from vise_core.engagement.clustering.kmeans import Centroids, Rows, nearest_centroid
from vise_core.engagement.features.extractors import Extractor, load_extractor
from vise_core.engagement.features.reactions import reaction_vectors
from vise_core.engagement.features.terms import heaviest_terms
from vise_core.formats import clusterer as clusterer_format
from vise_core.formats.clusterer import ClustererCard, Terms
from vise_core.formats.post import Post
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.posts.fields import REACTIONS

from .sampling import sample_comments

MOST_TERMS = 100
"""Characteristic words stored per comment cluster if the features are not words."""
CHUNK = 20_000
"""Comments whose features are computed at once while labelling."""


@dataclass(frozen=True)
class PostLabels:
    """Pseudo-labels of a sequence of posts.

    Attributes
    ----------
    comments: per post, the ascending cluster ids of its sampled comments that have features.
    reactions: per post, a cluster id, or None if the post has no reactions.
    """

    comments: list[list[int]]
    reactions: list[int | None]


@dataclass(frozen=True)
class Clusterer:
    """A frozen feature extractor with the centroids of the clusters.

    Attributes
    ----------
    spec: the spec of the fit; its ``subset`` says which posts must never be pretrained on.
    extractor: comment features, or None if comments were not clustered.
    comment_centroids: (k, extractor.dim) float32, CSR if the features are words; None without an extractor.
    reaction_centroids: (k, 5) float32, or None if reactions were not clustered.
    synthetic: True if it was fitted on generated posts.
    terms: characteristic words of each comment cluster; None if the features are words.
    """

    spec: ClusterSpec
    extractor: Extractor | None
    comment_centroids: Centroids | None
    reaction_centroids: Centroids | None
    synthetic: bool
    terms: Terms | None = None

    @property
    def comment_clusters(self) -> int:
        """The number of comment clusters."""
        return 0 if self.comment_centroids is None else self.comment_centroids.shape[0]

    @property
    def reaction_clusters(self) -> int:
        """The number of reaction clusters."""
        return 0 if self.reaction_centroids is None else len(self.reaction_centroids)

    def comment_terms(self, most: int) -> Terms:
        """Return at most ``most`` (word, weight) pairs of each comment cluster, heaviest first."""
        if self.extractor is None or self.comment_centroids is None:
            return []
        if self.extractor.terms is not None:
            return heaviest_terms(self.comment_centroids, self.extractor.terms, most)
        return [row[:most] for row in self.terms or [[]] * self.comment_clusters]

    def label(self, posts: Sequence[Post]) -> PostLabels:
        """Return the pseudo-labels of posts (Sec. 3.1, step 2). A post's labels depend on that post only."""
        return PostLabels(self._comment_labels(posts), self._reaction_labels(posts))

    def _comment_labels(self, posts: Sequence[Post]) -> list[list[int]]:
        labels: list[list[int]] = [[] for _ in posts]
        if self.extractor is None or self.comment_centroids is None or self.spec.comments is None:
            return labels
        documents: list[str] = []
        owners: list[int] = []
        for i, post in enumerate(posts):
            sampled = sample_comments(post.id, post.comments, self.spec.comments.max_comments, self.spec.seed)
            documents += sampled
            owners += [i] * len(sampled)
        for start in range(0, len(documents), CHUNK):
            known, rows = self.extractor.known(documents[start : start + CHUNK])
            clusters = self._nearest_comments(rows)
            for row, cluster in zip(known.tolist(), clusters.tolist(), strict=True):
                labels[owners[start + row]].append(cluster)
        return [sorted(row) for row in labels]

    def _nearest_comments(self, rows: Rows) -> npt.NDArray[np.int32]:
        if sparse.issparse(rows):
            return self._comment_index.nearest(rows)[0]
        return nearest_centroid(rows, self.comment_centroids)[0]

    @cached_property
    def _comment_index(self) -> InvertedIndex:
        return InvertedIndex.build(self.comment_centroids)

    def _reaction_labels(self, posts: Sequence[Post]) -> list[int | None]:
        if self.reaction_centroids is None:
            return [None] * len(posts)
        vectors = reaction_vectors(np.array([post.reactions for post in posts]).reshape(-1, len(REACTIONS)))
        clusters, _ = nearest_centroid(vectors, self.reaction_centroids)
        reacted: npt.NDArray[np.bool_] = np.asarray(vectors.any(axis=1))
        return [int(c) if r else None for c, r in zip(clusters.tolist(), reacted.tolist(), strict=True)]

    def save(self, folder: Path) -> None:
        """Write the ``clusterer`` artifact into an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.extractor is not None and self.comment_centroids is not None:
            self.extractor.save(folder)
            if self.extractor.terms is None:
                clusterer_format.write_dense_centroids(folder, self.comment_centroids, self.terms or [])
            else:
                clusterer_format.write_word_centroids(folder, self.comment_centroids)
        if self.reaction_centroids is not None:
            clusterer_format.write_reaction_centroids(folder, self.reaction_centroids)
        card = ClustererCard(
            spec=self.spec,
            comment_clusters=self.comment_clusters,
            reaction_clusters=self.reaction_clusters,
            synthetic=self.synthetic,
        )
        clusterer_format.write_clusterer_card(folder, card)

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> Clusterer:
        """Load the ``clusterer`` artifact; sentences are encoded on ``device``: auto, cpu or cuda.

        Raises BadCheckpoint if a file is missing, damaged or does not fit the others.
        """
        card = clusterer_format.read_clusterer_card(folder)
        extractor = comments = reactions = terms = None
        if card.spec.comments is not None:
            extractor = load_extractor(folder, card.spec.comments.extractor, device)
            shape = (card.comment_clusters, extractor.dim)
            if extractor.terms is None:
                comments, terms = clusterer_format.read_dense_centroids(folder, shape)
            else:
                comments = clusterer_format.read_word_centroids(folder, shape)
        if card.spec.reactions is not None:
            reactions = clusterer_format.read_reaction_centroids(
                folder, (card.reaction_clusters, len(REACTIONS))
            )
        return cls(card.spec, extractor, comments, reactions, card.synthetic, terms)
