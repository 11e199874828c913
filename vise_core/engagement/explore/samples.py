"""A few posts of each cluster, at random, in one pass and in bounded memory.

Every (post, cluster) has a number of its own that only the post's id and the seed decide; the lowest of each cluster
stay. So the sample is the same in whatever order posts come, and whatever else comes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class ClusterSamples:
    """The sample so far.

    Attributes
    ----------
    most: posts kept of each cluster.
    seed: another seed, another sample.
    """

    def __init__(self, most: int, seed: int) -> None:
        self.most, self.seed = most, seed
        self._clusters: Ints = np.empty(0, dtype=np.int64)
        self._ranks: Words = np.empty(0, dtype=np.uint64)
        self._posts: npt.NDArray[np.object_] = np.empty(0, dtype=object)

    def add(self, keys: Sequence[str], clusters: npt.ArrayLike) -> None:
        """Posts by ``formats.post.post_key`` and, for each, a cluster; a post in two clusters comes twice."""
        ids = np.asarray(clusters, dtype=np.int64)
        posts = np.array([int(key[:16], 16) for key in keys], dtype=np.uint64)
        ranks = _mixed(posts ^ _mixed(ids.astype(np.uint64) + np.uint64(self.seed) * np.uint64(2**32 - 5)))
        self._clusters = np.concatenate([self._clusters, ids])
        self._ranks = np.concatenate([self._ranks, ranks])
        self._posts = np.concatenate([self._posts, np.array(keys, dtype=object)])
        order = np.lexsort((self._ranks, self._clusters))
        sorted_ids = self._clusters[order]
        starts = np.flatnonzero(np.r_[True, sorted_ids[1:] != sorted_ids[:-1]]) if len(order) else order
        counts = np.diff(np.r_[starts, len(order)])
        kept = order[np.arange(len(order)) - np.repeat(starts, counts) < self.most]
        self._clusters, self._ranks, self._posts = self._clusters[kept], self._ranks[kept], self._posts[kept]

    def of(self, cluster: int) -> list[str]:
        """Keys of the posts of a cluster, in order of their numbers."""
        first, last = np.searchsorted(self._clusters, [cluster, cluster + 1])
        return list(self._posts[first:last])

    def keys(self) -> set[str]:
        """All posts of the sample."""
        return set(self._posts.tolist())


def _mixed(words: Words) -> Words:
    """splitmix64's finaliser: every bit of the input turns about half of the output."""
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(words ^ (words >> np.uint64(31)))
