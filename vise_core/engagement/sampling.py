"""Which comments of a post count: at most so many, the same ones whenever and wherever it is asked."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence


def sample_comments(post_id: str, comments: Sequence[str], most: int, seed: int = 0) -> list[str]:
    """At most ``most`` comments, drawn without replacement by a generator seeded with the post's id.

    Keeps the order in which they were written. Sec. 3.2: at most 100 comments are sampled at random.
    """
    if len(comments) <= most:
        return list(comments)
    digest = hashlib.sha256(f"{seed}:comments:{post_id}".encode()).digest()
    chosen = random.Random(int.from_bytes(digest[:8], "big")).sample(range(len(comments)), most)
    return [comments[i] for i in sorted(chosen)]
