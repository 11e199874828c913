"""The post record (Sec. 3.1): an image, its comments, and five reaction counts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from vise_core.errors import BadInput
from vise_core.specs.posts.fields import REACTIONS

MAX_REACTIONS = 2**53
"""Of one kind on a post: all numbers up to it are exact in float64."""


@dataclass(frozen=True, slots=True)
class Post:
    """The comments and reactions on an image.

    Attributes
    ----------
    id: the post's id in its source; any text without control characters.
    comments: comments and replies alike (Sec. 3.1), each one document.
    reactions: five counts >= 0, in the order of ``specs.posts.fields.REACTIONS``.
    """

    id: str
    comments: tuple[str, ...] = ()
    reactions: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)

    @property
    def key(self) -> str:
        """The post's name in shards and labels; see ``post_key``."""
        return post_key(self.id)


@dataclass(frozen=True, slots=True)
class PostRecord:
    """A post with the encoded bytes of its image; ``extension`` is jpg, png or webp."""

    post: Post
    image: bytes
    extension: str = "jpg"


def post_key(post_id: str) -> str:
    """Return the first 32 hex digits of the id's SHA-256, which are safe as a file name."""
    return hashlib.sha256(post_id.encode()).hexdigest()[:32]


def post_to_json(post: Post) -> bytes:
    """Encode a post in its canonical form: sorted keys, no spaces, UTF-8. Equal posts give equal bytes."""
    row = {
        "id": post.id,
        "comments": list(post.comments),
        "reactions": dict(zip(REACTIONS, post.reactions, strict=True)),
    }
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def post_from_json(data: bytes) -> Post:
    """Decode a post that ``post_to_json`` wrote. Raises BadInput for anything else."""
    try:
        row = json.loads(data)
        if b"\\u" in data:
            json.dumps(row, ensure_ascii=False).encode()  # Raises for half a character, which no file holds.
        counts = row["reactions"]
        reactions = tuple(int(counts[name]) for name in REACTIONS)
        if not all(0 <= count <= MAX_REACTIONS for count in reactions):
            raise ValueError(f"reactions of {min(reactions)} to {max(reactions)}")
        return Post(
            id=str(row["id"]),
            comments=tuple(str(c) for c in row["comments"]),
            reactions=reactions,  # type: ignore[arg-type]
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(
            f"a post in the shards is not as ingest writes it ({error!r}): ingest again"
        ) from error
