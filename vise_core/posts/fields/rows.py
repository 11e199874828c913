"""Check a row of a source and convert it to a post.

The plain field map reads {"id", "image", "comments": [text | {"text", "replies": [...]}], "reactions": {"haha": 3,
…}}; ``source.fields`` describes other rows. Replies count as comments. Missing counts are 0.
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from dataclasses import dataclass, field
from typing import Any

from vise_core.files.names import printable_name
from vise_core.formats.post import Post
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.posts.fields import Fields

from .comments import read_comments
from .counts import Counts, read_counts
from .mapping import Mapping

MAX_ID_CHARACTERS = 512


@dataclass(frozen=True)
class Checked:
    """A post with the repairs that were made (slugs) and the numbers of parts left out by reason."""

    post: Post
    repairs: set[str] = field(default_factory=set)
    dropped: Named[str, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)


def check_row(row: Any, spec: IngestSpec, mapping: Mapping | None = None) -> Checked:
    """Convert a row to a checked post. Raises RejectedPost with a reason: not_an_object, bad_id, bad_comments, …

    ``mapping`` is ``mapping_of(spec)``; compile it once for many rows.
    """
    if not isinstance(row, dict):
        raise RejectedPost("not_an_object", "a post must be a JSON object")
    mapping = mapping or mapping_of(spec)
    repairs: set[str] = set()
    post_id = _id(mapping.get("id", row), row, mapping)
    comments = read_comments(row, mapping, spec, repairs)
    counts = read_counts(row, mapping, repairs)
    dropped = dict(comments.dropped)
    for reason, count in (
        ("other_reactions", sum(counts.other.values())),
        ("reactions_without_type", counts.untyped),
        ("unread_reactions", int(bool(counts.unread))),
        ("posts_without_reactions", int(not any(counts.values))),
        ("posts_without_comments", int(not comments.texts)),
    ):
        if count:
            dropped[reason] = count
    return Checked(Post(post_id, tuple(comments.texts), counts.values), repairs, dropped, counts)


def mapping_of(spec: IngestSpec) -> Mapping:
    """Return the compiled field map of a spec's source; sample data uses the plain map."""
    return Mapping(getattr(spec.source, "fields", None) or Fields())


def _id(value: Any, row: dict[str, Any], mapping: Mapping) -> str:
    if value is None:
        value = row.get("__key__")  # WebDataset's name of a sample
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        there = ", ".join(printable_name(str(name))[:40] for name in list(row)[:12])
        problem = (
            "is missing or empty"
            if value is None or value == ""
            else f"is {value!r:.80}, not a text or a whole number"
        )
        raise RejectedPost("bad_id", f"{mapping.describe('id')} {problem}; the row has: {there}")
    if len(value) > MAX_ID_CHARACTERS or any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise RejectedPost("bad_id", f"{mapping.describe('id')} is too long or holds control characters")
    return value
