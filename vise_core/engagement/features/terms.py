"""The most characteristic words of comment clusters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.engagement.clustering.kmeans import Centroids, dense_rows
from vise_core.formats.clusterer import Terms
from vise_core.text.tokenize import tokenize


def heaviest_terms(centroids: Centroids, words: Sequence[str], most: int) -> Terms:
    """Return the words with the largest weights of each centroid, for features that are words."""
    return [_top(centroid, words, most) for centroid in dense_rows(centroids)]


def characteristic_terms(
    comments: Sequence[str], labels: npt.NDArray[np.int32], clusters: int, most: int
) -> Terms:
    """Return the words of each cluster with the largest class-based TF-IDF, for features that are not words.

    ``labels``: (n,) int32, the cluster of each comment. All comments of a cluster are one document. A word's weight is
    its share of that document's words times ``log(1 + A / f)``, with f its count over all clusters and A the mean
    number of words of a cluster (Grootendorst 2022, arXiv:2203.05794).
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=partial(tokenize, lowercase=True), dtype=np.float64)
    try:
        counts = counter.fit_transform(comments)
    except ValueError:  # no comment has a word
        return [[] for _ in range(clusters)]
    n = len(comments)
    membership = sparse.csr_matrix((np.ones(n), (labels, np.arange(n))), shape=(clusters, n))
    by_cluster = sparse.csr_matrix(membership @ counts)
    lengths = by_cluster.sum(axis=1).A1
    rarity = np.log(1 + lengths.mean() / np.maximum(counts.sum(axis=0).A1, 1))
    names = counter.get_feature_names_out()
    terms = []
    for cluster in range(clusters):
        row = by_cluster[cluster]
        weights = row.data / max(lengths[cluster], 1) * rarity[row.indices]
        terms.append(_top(weights, names[row.indices], most))
    return terms


def _top(weights: npt.NDArray[np.floating], words: Sequence[str], most: int) -> list[tuple[str, float]]:
    order = np.argsort(-weights, kind="stable")[:most]
    return [(str(words[i]), float(weights[i])) for i in order.tolist() if weights[i] > 0]
