"""The preview of a folder of posts: the guessed layout and map, and the first posts as they would be read."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..base import Record


class PeekedPost(Record):
    """A post as ingest would read it, or the reason why it would be rejected."""

    where: str = Field(description="File and line, row or member.")
    id: str = ""
    image: str = Field("", description="The image's file, or its size where it comes as bytes.")
    comments: int = 0
    first_comments: tuple[str, ...] = Field((), description="The first comments, shortened.")
    reactions: dict[str, int] = Field(default_factory=dict)
    reason: str | None = Field(None, description="Why the post would be rejected; null: it would be kept.")
    message: str = ""


class Peek(Record):
    """A guessed ``source`` for ``ingest``, and the first posts that it gives."""

    layout: str = Field(description="The kind of the source; unknown where none fits.")
    source: dict[str, Any] | None = Field(None, description="The guessed ``source`` of an ingest spec.")
    posts: tuple[PeekedPost, ...] = ()
    rejected: dict[str, int] = Field(default_factory=dict, description="Reason → posts, of those shown.")
    warnings: tuple[str, ...] = ()

    @property
    def kept(self) -> int:
        """Number of the shown posts that ingest would keep."""
        return sum(post.reason is None for post in self.posts)
