"""Sample the comments of a post, reproducibly."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence


def sample_comments(post_id: str, comments: Sequence[str], most: int, seed: int = 0) -> list[str]:
    """Return at most ``most`` random comments in their original order (Sec. 3.2: at most 100).

    They are drawn without replacement by a generator seeded with ``seed`` and the post's id, so that a post has the
    same sample everywhere.
    """
    if len(comments) <= most:
        return list(comments)
    digest = hashlib.sha256(f"{seed}:comments:{post_id}".encode()).digest()
    chosen = random.Random(int.from_bytes(digest[:8], "big")).sample(range(len(comments)), most)
    return [comments[i] for i in sorted(chosen)]
