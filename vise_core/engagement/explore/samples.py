"""Sample a few posts of each cluster at random, in one pass and in bounded memory.

Every (post, cluster) has a pseudo-random rank that depends on the post's id and the seed; the lowest ranks of each
cluster are kept. So the sample does not depend on the order of posts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class ClusterSamples:
    """Samples of the posts of each cluster, built batch by batch.

    Attributes
    ----------
    most: posts kept of each cluster. seed: seed of the ranks.
    """

    def __init__(self, most: int, seed: int) -> None:
        self.most, self.seed = most, seed
        self._clusters: Ints = np.empty(0, dtype=np.int64)
        self._ranks: Words = np.empty(0, dtype=np.uint64)
        self._posts: npt.NDArray[np.object_] = np.empty(0, dtype=object)

    def add(self, keys: Sequence[str], clusters: npt.ArrayLike) -> None:
        """Add posts by their keys (``formats.post.post_key``), each with a cluster; repeat a post that is in several.

        ``clusters``: (n,) integers for n keys.
        """
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
        """Return the keys of the sampled posts of a cluster, in order of their ranks."""
        first, last = np.searchsorted(self._clusters, [cluster, cluster + 1])
        return list(self._posts[first:last])

    def keys(self) -> set[str]:
        """Return the keys of all sampled posts."""
        return set(self._posts.tolist())


def _mixed(words: Words) -> Words:
    """Hash 64-bit words with the finaliser of splitmix64."""
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(words ^ (words >> np.uint64(31)))
