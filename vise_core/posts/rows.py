"""From a row as somebody wrote it to a checked post.

A row is {"id", "image", "comments": [text | {"text", "replies": [...]}], "reactions": {"haha": 3, …}}. Replies
count as comments. Buttons that are missing count 0; likes, shares and other fields are left aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vise_core.errors import BadInput
from vise_core.specs.posts import REACTIONS, IngestSpec

from .records import Post

MAX_ID_CHARACTERS = 512
MAX_COUNT = 2**53
MAX_REPLY_DEPTH = 32


class Refused(BadInput):
    """A post that cannot be used. ``reason`` is a stable slug to count by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Checked:
    """A post, and the slugs of what was repaired to make it one."""

    post: Post
    repairs: set[str] = field(default_factory=set)


def check_row(row: Any, spec: IngestSpec) -> Checked:
    """Raises Refused with a reason: not_an_object, bad_id, bad_comments, bad_reactions, negative_count, …"""
    if not isinstance(row, dict):
        raise Refused("not_an_object", "a post must be a JSON object")
    repairs: set[str] = set()
    post_id = _id(row.get("id"))
    comments = _comments(row.get("comments"), spec, repairs)
    return Checked(Post(post_id, comments, _reactions(row.get("reactions"), repairs)), repairs)


def _id(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise Refused("bad_id", "the field id is missing or empty")
    if len(value) > MAX_ID_CHARACTERS or any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise Refused("bad_id", "the field id is too long or holds control characters")
    return value


def _comments(value: Any, spec: IngestSpec, repairs: set[str]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Refused("bad_comments", "the field comments must be a list")
    comments: list[str] = []
    for text in _texts(value, 0):
        if len(comments) == spec.max_comments:
            repairs.add("too_many_comments")
            break
        cleaned = text.encode("utf-8", "ignore").decode().replace("\0", "")
        if cleaned != text:
            repairs.add("broken_unicode")
        if len(cleaned) > spec.max_comment_characters:
            cleaned = cleaned[: spec.max_comment_characters]
            repairs.add("long_comment")
        if cleaned.strip():
            comments.append(cleaned)
        else:
            repairs.add("empty_comment")
    return tuple(comments)


def _texts(values: list[Any], depth: int) -> Iterator[str]:
    """Comments and their replies, in order."""
    if depth > MAX_REPLY_DEPTH:
        raise Refused("bad_comments", f"replies are nested more than {MAX_REPLY_DEPTH} deep")
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict) and isinstance(value.get("text"), str):
            yield value["text"]
            replies = value.get("replies") or []
            if not isinstance(replies, list):
                raise Refused("bad_comments", "replies must be a list")
            yield from _texts(replies, depth + 1)
        else:
            raise Refused("bad_comments", "a comment must be text, or an object with text and replies")


def _reactions(value: Any, repairs: set[str]) -> tuple[int, int, int, int, int]:
    if value is None:
        return (0, 0, 0, 0, 0)
    if not isinstance(value, dict):
        raise Refused("bad_reactions", "the field reactions must be an object of counts")
    counts = []
    for name in REACTIONS:
        count = value.get(name, 0)
        if isinstance(count, float) and count.is_integer():
            count = int(count)
            repairs.add("count_as_float")
        if isinstance(count, bool) or not isinstance(count, int):
            raise Refused("bad_reactions", f"reactions.{name} is {count!r}, not a whole number")
        if count < 0:
            raise Refused("negative_count", f"reactions.{name} is {count}, which is negative")
        if count > MAX_COUNT:
            raise Refused("bad_reactions", f"reactions.{name} is absurdly large")
        counts.append(count)
    return tuple(counts)  # type: ignore[return-value]
