"""Describe clusters for people: size, top terms, nearest comments, mean reactions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vise_core.engagement.clustering.kmeans import Centroids, Clustering, Rows, dense_rows
from vise_core.formats.clusterer import Terms
from vise_core.formats.inspection import CommentCluster, ReactionCluster
from vise_core.specs.posts.fields import REACTIONS
from vise_core.text.tokenize import redact

TOP_TERMS = 10
NEAREST_COMMENTS = 8


def inspect_comments(
    clustering: Clustering, rows: Rows, comments: Sequence[str], terms: Terms
) -> tuple[CommentCluster, ...]:
    """Return the size, top terms and nearest distinct comments of each comment cluster.

    Parameters
    ----------
    rows: (n, d) features of the ``comments``, on which ``clustering`` was fitted.
    terms: (word, weight) pairs of each cluster, heaviest first.
    """
    order = np.argsort(clustering.labels, kind="stable")
    ends = np.cumsum(np.bincount(clustering.labels, minlength=clustering.centroids.shape[0]))
    records = []
    for cluster, centroid in enumerate(dense_rows(clustering.centroids)):
        members = order[ends[cluster - 1] if cluster else 0 : ends[cluster]]
        similarity = np.asarray(rows[members] @ centroid).ravel()
        nearest: dict[str, None] = {}
        for i in members[np.argsort(-similarity, kind="stable")].tolist():
            nearest.setdefault(redact(comments[i])[:200])
            if len(nearest) == NEAREST_COMMENTS:
                break
        records.append(
            CommentCluster(
                cluster=cluster,
                size=len(members),
                terms=tuple((term, round(weight, 4)) for term, weight in terms[cluster][:TOP_TERMS]),
                comments=tuple(nearest),
            )
        )
    return tuple(records)


def inspect_reactions(
    labels: npt.NDArray[np.int32], centroids: Centroids, vectors: Rows
) -> tuple[ReactionCluster, ...]:
    """Return the size of each reaction cluster and the mean share of each reaction among its posts (sums to 1).

    ``labels``: (n,) int32; ``centroids``: (k, 5); ``vectors``: (n, 5) float32.
    """
    shares = vectors / np.maximum(vectors.sum(axis=1, keepdims=True), 1e-12)
    records = []
    for cluster in range(len(centroids)):
        members = shares[labels == cluster]
        mean = members.mean(axis=0) if len(members) else np.zeros(len(REACTIONS))
        records.append(
            ReactionCluster(
                cluster=cluster,
                size=len(members),
                reactions={name: round(float(v), 4) for name, v in zip(REACTIONS, mean, strict=True)},
            )
        )
    return tuple(records)
