"""Parse the comments of a row and their replies, in any of the supported shapes."""

from __future__ import annotations

import ast
import io
import json
import math
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vise_core.posts.rejected import RejectedPost
from vise_core.specs.ingest import IngestSpec

from .mapping import Mapping

MAX_REPLY_DEPTH = 32
_MAX_LITERAL = 1_000_000


@dataclass
class Comments:
    """The comments of a post to store, and the numbers of comments left out by reason."""

    texts: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str, count: int = 1) -> None:
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


def read_comments(row: Any, mapping: Mapping, spec: IngestSpec, repairs: set[str]) -> Comments:
    """Return the comments of a row, replies included. Raises RejectedPost (bad_comments)."""
    comments = Comments()
    value = mapping.get("comments", row)
    if isinstance(value, str):
        repairs.add("comments_as_text")
    for text in _texts(_listed(value, "comments", mapping), 0, mapping, comments):
        cleaned = text.encode("utf-8", "ignore").decode().replace("\0", "")
        if cleaned != text:
            repairs.add("broken_unicode")
        if not cleaned.strip():
            repairs.add("empty_comment")
            comments.drop("comments_empty")
        elif len(comments.texts) == spec.max_comments:
            repairs.add("too_many_comments")
            comments.drop("comments_over_limit")
        else:
            if len(cleaned) > spec.max_comment_characters:
                cleaned = cleaned[: spec.max_comment_characters]
                repairs.add("long_comment")
                comments.drop("comments_cut")
            comments.texts.append(cleaned)
    return comments


def as_list(text: str, *, object_too: bool = False) -> Any:
    """Parse a table cell that holds a list, as JSON or as a Python literal; any other text is a list of itself.

    Raises RejectedPost where the text looks like a list but cannot be parsed.
    """
    stripped = text.strip()
    types = list | dict if object_too else list
    opened = stripped[:1] == "[" or (object_too and stripped[:1] == "{")
    if not opened or stripped[-1:] not in ("]", "}"):
        if object_too:
            raise RejectedPost("bad_reactions", f"{text[:80]!r} is neither a list nor an object of counts")
        return [text] if stripped else []
    for read in (json.loads, _python_list):
        try:
            value = read(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
            continue
        if isinstance(value, types):
            return value
    raise RejectedPost(
        "bad_reactions" if object_too else "bad_comments",
        f"{text[:80]!r} looks like a list but is neither JSON nor a list as Python writes it",
    )


def _python_list(text: str) -> Any:
    """Parse a list that pandas wrote to CSV: ['a', 'b']. Raises ValueError for NumPy's ['a' 'b']."""
    if len(text) > _MAX_LITERAL:
        raise ValueError("too long")
    tree = ast.parse(text, mode="eval")
    strings = sum(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(tree))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    if strings != sum(token.type == tokenize.STRING for token in tokens):
        raise ValueError("two texts without a comma between them")
    return ast.literal_eval(tree)


def _listed(value: Any, part: str, mapping: Mapping) -> list[Any]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        listed: list[Any] = as_list(value)
        return listed
    if not isinstance(value, list):
        raise RejectedPost(
            "bad_comments", f"{mapping.describe(part)} must be a list, not {type(value).__name__}"
        )
    return value


def _texts(values: list[Any], depth: int, mapping: Mapping, comments: Comments) -> Iterator[str]:
    """Return comments and their replies, in order. Replies nested too deep are counted and left out."""
    if depth > MAX_REPLY_DEPTH:
        comments.drop("replies_too_deep", _count(values, mapping))
        return
    for value in values:
        if isinstance(value, str):
            yield value
            continue
        if value is None or (isinstance(value, float) and math.isnan(value)):
            comments.drop("comments_without_text")
            continue
        if not isinstance(value, dict):
            raise RejectedPost(
                "bad_comments", f"a comment must be text, or an object with a text, not {value!r}"[:300]
            )
        text = mapping.get("text", value)
        if isinstance(text, str):
            yield text
        elif text is None:
            comments.drop("comments_without_text")
        else:
            raise RejectedPost("bad_comments", f"{mapping.describe('text')} is {text!r}, not a text"[:300])
        yield from _texts(
            _listed(mapping.get("replies", value), "replies", mapping), depth + 1, mapping, comments
        )


def _count(values: list[Any], mapping: Mapping) -> int:
    """Return the number of comments in a list and below it, without recursion: they are deeply nested."""
    total, waiting = 0, [values]
    while waiting:
        for value in waiting.pop():
            total += isinstance(value, str | dict)
            below = mapping.get("replies", value) if isinstance(value, dict) else None
            if isinstance(below, list):
                waiting.append(below)
    return total
