"""Guess the field map of a source from the names in its first rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.fields import Fields, MapName
from vise_core.specs.posts.images import is_image_name

from .counts import read_counts
from .mapping import Mapping

NAMES = {
    "id": (
        *("id", "postid", "uid", "uuid", "pk", "shortcode", "key", "postnumber", "objectid"),
        *("statusid", "tweetid", "mediaid", "facebookid"),
    ),
    "image": (
        *(
            "image",
            "imagepath",
            "imagefile",
            "imagename",
            "img",
            "imgpath",
            "filename",
            "filepath",
            "file",
            "localpath",
        ),
        *("picture", "photo", "media", "path", "jpg", "png", "url"),
    ),
    "comments": ("comments", "comment", "commentlist", "replies", "texts", "messages"),
    "text": ("text", "message", "body", "content", "comment", "commenttext", "commenttextraw"),
    "replies": ("replies", "comments", "children", "responses", "answers"),
}
"""Names of each part, without case, spaces and underscores; the likeliest first."""

_DEPTH = 3
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def guess_fields(rows: Sequence[dict[str, Any]], name: MapName, kind: str) -> dict[str, Any]:
    """Return the shortest ``fields`` that reads these rows with the ready-made map ``name``.

    ``kind`` is that of the source: the tables' own map is the flat one; of some kinds the reader finds the image.
    """
    changed: dict[str, Any] = {} if name == ("flat" if kind == "csv" else "plain") else {"map": name}
    mapping = Mapping(Fields(map=name))
    finds_image = kind in ("webdataset", "pictures")
    for part in ("id", "comments") if finds_image else ("id", "image", "comments"):
        holds = any(_holds(mapping.get(part, row)) for row in rows)
        if not holds and (place := _place(rows, part)) is not None:
            changed[part] = place
    mapping = Mapping(Fields(map=name, **{part: changed[part] for part in ("comments",) if part in changed}))
    comments = [comment for row in rows for comment in _objects(mapping.get("comments", row))]
    if comments:
        for part in ("text", "replies"):
            holds = any(_holds(mapping.get(part, comment)) for comment in comments)
            place = None if holds else _place(comments, part, depth=1)
            if place is not None and place != changed.get("text"):
                changed[part] = place
    return changed | _reactions(rows, mapping)


def _place(rows: Sequence[dict[str, Any]], part: str, depth: int = _DEPTH) -> str | None:
    """Return the expression of the likeliest place of a part."""
    places: dict[tuple[int, int], str] = {}
    for row in rows:
        for path, value in _places(row, (), depth):
            name = re.sub(r"[\W_]", "", path[-1].casefold())
            if name in NAMES[part] and _fits(part, value):
                places.setdefault((len(path), NAMES[part].index(name)), expression(path))
    return places[min(places)] if places else None


def _reactions(rows: Sequence[dict[str, Any]], mapping: Mapping) -> dict[str, str]:
    """Return expressions for reactions that the map does not read, where it reads none."""
    changed: dict[str, str] = {}
    for row in rows:
        try:
            counts = read_counts(row, mapping, set())
        except RejectedPost:
            continue
        if any(counts.values):
            return {}
        for place in counts.unread:
            path = tuple(place.split("."))
            reaction = mapping.reaction(path[-1])
            # A number under the name of reactions is their total, of which none has a type.
            if reaction is not None or isinstance(_at(row, path), dict | list):
                changed.setdefault(reaction or "reactions", expression(path))
    return changed


def _at(row: Any, path: Sequence[str]) -> Any:
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row


def expression(path: Sequence[str]) -> str:
    """Return the JMESPath expression for a chain of names."""
    return ".".join(name if _PLAIN.fullmatch(name) else json.dumps(name) for name in path)


def _places(row: dict[str, Any], above: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in row.items():
        if not isinstance(key, str) or key.isdecimal():  # numbered rows are no parts of one
            continue
        yield (*above, key), value
        if isinstance(value, dict) and len(above) + 1 < depth:
            yield from _places(value, (*above, key), depth)


def _fits(part: str, value: Any) -> bool:
    if part == "id":
        return isinstance(value, str | int) and not isinstance(value, bool)
    if part == "image":
        named = isinstance(value, str) and is_image_name(value.partition("?")[0])
        return named or isinstance(value, bytes) or (isinstance(value, dict) and "bytes" in value)
    if part == "text":
        return isinstance(value, str)
    # A whole number is how many comments there are, not one of them.
    return isinstance(value, list | str) and _holds(value) and not str(value).strip().isdecimal()


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _holds(value: Any) -> bool:
    return value is not None and value != "" and value != []
