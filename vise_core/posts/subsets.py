"""Select the cluster subset, and nested random pretrain subsets of the other posts (Sec. 3.2).

Both depend on a hash of the post id and a seed alone: adding or re-ordering posts moves no other post.
"""

from __future__ import annotations

import hashlib

from vise_core.specs.posts.subset import SubsetSpec

_SPAN = 2**64


def in_cluster_subset(post_id: str, spec: SubsetSpec) -> bool:
    """Return True for posts of the cluster subset, which are never used for pretraining."""
    return _hash64("cluster", spec.seed, post_id) < spec.cluster_fraction * _SPAN


def pretrain_rank(post_id: str, seed: int) -> int:
    """Return a rank in [0, 2**64), uniformly distributed and fixed for (id, seed).

    The n posts of lowest rank are a random subset of size n, which every larger subset contains.
    """
    # Another purpose than the cluster split, so that rank does not depend on having escaped it.
    return _hash64("pretrain", seed, post_id)


def _hash64(purpose: str, seed: int, post_id: str) -> int:
    digest = hashlib.blake2b(post_id.encode(), digest_size=8, key=f"{purpose}:{seed}".encode())
    return int.from_bytes(digest.digest(), "big")
