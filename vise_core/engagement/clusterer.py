"""A fitted clusterer: from the engagement of a post to its pseudo-labels, and to disk and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.engagement.clustering.inverted import InvertedIndex
from vise_core.engagement.clustering.kmeans import Centroids, Rows, nearest_centroid
from vise_core.engagement.features.extractors import Extractor, load_extractor
from vise_core.engagement.features.reactions import reaction_vectors
from vise_core.engagement.features.terms import Terms, heaviest_terms
from vise_core.errors import BadCheckpoint
from vise_core.formats.post import Post
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.posts.fields import REACTIONS

from .sampling import sample_comments

FORMAT = "vise-clusterer-1"
MOST_TERMS = 100
"""Words kept of a comment cluster where features are no words."""
CHUNK = 20_000
"""Comments whose features are held at once while labelling."""


@dataclass(frozen=True)
class PostLabels:
    """Pseudo-labels of some posts, in their order.

    Attributes
    ----------
    comments: one list a post: a cluster id for each sampled comment with a known word, ascending.
    reactions: one cluster id a post, or None where nobody reacted.
    """

    comments: list[list[int]]
    reactions: list[int | None]


@dataclass(frozen=True)
class Clusterer:
    """Frozen features and centroids.

    Attributes
    ----------
    spec: what it was fitted with; its ``subset`` says which posts must never be pretrained on.
    extractor: comment features, or None where comments were not clustered.
    comment_centroids: (k, extractor.dim) float32; CSR where columns are words.
    reaction_centroids: (k, 5) float32, or None.
    synthetic: True where it was fitted on generated posts.
    terms: the characteristic words of each comment cluster, where the features are no words.
    """

    spec: ClusterSpec
    extractor: Extractor | None
    comment_centroids: Centroids | None
    reaction_centroids: Centroids | None
    synthetic: bool
    terms: Terms | None = None

    @property
    def comment_clusters(self) -> int:
        return 0 if self.comment_centroids is None else self.comment_centroids.shape[0]

    @property
    def reaction_clusters(self) -> int:
        return 0 if self.reaction_centroids is None else len(self.reaction_centroids)

    def comment_terms(self, most: int) -> Terms:
        """(word, weight) pairs of each comment cluster, heaviest first: at most ``most``."""
        if self.extractor is None or self.comment_centroids is None:
            return []
        if self.extractor.terms is not None:
            return heaviest_terms(self.comment_centroids, self.extractor.terms, most)
        return [row[:most] for row in self.terms or [[]] * self.comment_clusters]

    def label(self, posts: Sequence[Post]) -> PostLabels:
        """Pseudo-labels of the posts (Sec. 3.1, step 2). A post's labels depend on that post only."""
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
                np.save(folder / "comment_centroids.npy", self.comment_centroids)
                (folder / "terms.json").write_text(json.dumps(self.terms, ensure_ascii=False))
            else:
                sparse.save_npz(folder / "comment_centroids.npz", self.comment_centroids)
        if self.reaction_centroids is not None:
            np.save(folder / "reaction_centroids.npy", self.reaction_centroids)
        facts = {
            "format": FORMAT,
            # How it was computed changes nothing, and equal clusterers are to be equal files.
            "spec": self.spec.model_dump(mode="json", exclude={"helpers", "compute"}),
            "comment_clusters": self.comment_clusters,
            "reaction_clusters": self.reaction_clusters,
            "synthetic": self.synthetic,
        }
        (folder / "clusterer.json").write_text(json.dumps(facts, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> Clusterer:
        """``device`` is where sentences are encoded: auto, cpu or cuda.

        Raises BadCheckpoint where a file is missing, damaged or does not fit the others.
        """
        path = folder / "clusterer.json"
        try:
            facts = json.loads(path.read_bytes())
            if facts["format"] != FORMAT:
                raise BadCheckpoint(
                    f"{path}: format is {facts['format']!r}, expected {FORMAT!r}: cluster again"
                )
            spec = ClusterSpec.model_validate(_with_tokenizer(facts["spec"]))
            extractor = comments = reactions = terms = None
            if spec.comments is not None:
                extractor = load_extractor(folder, spec.comments.extractor, device)
                shape = (facts["comment_clusters"], extractor.dim)
                if extractor.terms is None:
                    comments = _read_dense(folder / "comment_centroids.npy", shape)
                    terms = _read_terms(folder / "terms.json", shape[0])
                else:
                    comments = _read_sparse(folder / "comment_centroids.npz", shape)
            if spec.reactions is not None:
                shape = (facts["reaction_clusters"], len(REACTIONS))
                reactions = _read_dense(folder / "reaction_centroids.npy", shape)
            return cls(spec, extractor, comments, reactions, bool(facts["synthetic"]), terms)
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise BadCheckpoint(f"{folder}: not a whole clusterer ({error}): cluster again") from error


def _with_tokenizer(spec: Any) -> Any:
    """The spec of a clusterer; one that names no tokenizer was made before there was a second."""
    comments = spec.get("comments") if isinstance(spec, dict) else None
    if not isinstance(comments, dict) or not isinstance(comments.get("extractor"), dict):
        return spec
    return {**spec, "comments": {**comments, "extractor": {"tokenizer": "words-1", **comments["extractor"]}}}


def _read_sparse(path: Path, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Float32 centroids. Every index is checked first: compiled code would follow a wrong one anywhere."""
    matrix = sparse.csr_matrix(sparse.load_npz(path))
    if matrix.shape != shape:
        raise BadCheckpoint(f"{path}: centroids of shape {matrix.shape}, expected {shape}: cluster again")
    matrix.check_format(full_check=True)
    if not np.isfinite(matrix.data).all():
        raise BadCheckpoint(f"{path}: centroids are not finite numbers: cluster again")
    return matrix.astype(np.float32)


def _read_dense(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    array = np.load(path, allow_pickle=False).astype(np.float32)
    _check_shape(path, array, shape)
    return array


def _read_terms(path: Path, clusters: int) -> Terms:
    terms = [[(str(word), float(weight)) for word, weight in row] for row in json.loads(path.read_bytes())]
    if len(terms) != clusters:
        raise BadCheckpoint(f"{path}: words of {len(terms)} clusters, expected {clusters}: cluster again")
    return terms


def _check_shape(path: Path, array: npt.NDArray[np.float32], shape: tuple[int, int]) -> None:
    if array.shape != shape:
        raise BadCheckpoint(f"{path}: centroids of shape {array.shape}, expected {shape}: cluster again")
    if not np.isfinite(array).all():
        raise BadCheckpoint(f"{path}: centroids are not finite numbers: cluster again")
