"""Parse the reaction counts of a row in any shape: names in any case, summaries, lists of types, text.

A count that is null, NaN or an empty cell is missing and counts as 0. A count that is not a whole number rejects the
post: to read "1,234" or "1.2K" would be a guess. Reactions under other names than the five, and in places that the
field map does not read, are counted and reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from vise_core.files.names import printable_name
from vise_core.formats.post import MAX_REACTIONS
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.fields import REACTIONS, Reaction

from .comments import as_list
from .mapping import Mapping, bare_name

BUTTONS = frozenset({"like", "likes", "care", "thankful", "pride"})
"""Buttons that are none of the five, reported where a flat table has a column of that name."""

MISSING = frozenset({"", "nan", "null", "none", "na", "n/a"})
"""What tables write for a cell that has no value."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}(\.0*)?")
_TYPE_KEYS = ("type", "reaction_type", "reaction", "name")
_COUNT_KEYS = ("total_count", "count", "value", "total")
_AROUND_A_LIST = frozenset({"data", "summary", "paging"})
_DEEPEST = 3


@dataclass
class Counts:
    """The five reaction counts of a post, and the reactions that were left out.

    Attributes
    ----------
    values: in the order of ``REACTIONS``.
    other: reactions under names that are none of the five, by name.
    untyped: reactions in a total that have no type.
    unread: places of the row that hold reactions and that the map does not read.
    """

    values: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    other: dict[str, int] = field(default_factory=dict)
    untyped: int = 0
    unread: tuple[str, ...] = ()


def read_counts(row: Any, mapping: Mapping, repairs: set[str]) -> Counts:
    """Return the reaction counts of a row. Raises RejectedPost (bad_reactions, negative_count)."""
    totals = Counts()
    counts: dict[Reaction, int] = {}
    for name in REACTIONS:
        value = mapping.get(name, row)
        if value is not None and (count := count_of(value, name, repairs)) is not None:
            counts[name] = count
    alone = set(counts)
    listed = mapping.get("reactions", row)
    by_name = isinstance(listed, dict) and not isinstance(listed.get("data"), list)
    for written, value in _named(listed, mapping):
        reaction = mapping.reaction(written)
        if reaction is None:
            _other(written, value, mapping, totals)
        elif reaction not in alone:
            count = count_of(value, f"reactions.{printable_name(written)}", repairs) or 0
            if count and counts.get(reaction) and by_name:
                repairs.add("reactions_added_up")
            counts[reaction] = counts.get(reaction, 0) + count
    totals.values = tuple(counts.get(name, 0) for name in REACTIONS)  # type: ignore[assignment]
    if max(totals.values) > MAX_REACTIONS:
        raise RejectedPost("bad_reactions", "a reaction count is absurdly large")
    if not mapping.whole_row and (total := _total_of_all(listed)):
        totals.untyped = max(0, total - sum(totals.values) - sum(totals.other.values()))
    totals.unread = tuple(_unread(row, mapping, ())) if isinstance(row, dict) else ()
    return totals


def count_of(value: Any, name: str, repairs: set[str]) -> int | None:
    """Return a count as a whole number, or None where it is missing.

    Raises RejectedPost if it is negative, larger than ``MAX_REACTIONS`` or no whole number.
    """
    if isinstance(value, dict):
        value = _total(value, name)
    if isinstance(value, str):
        value = _of_text(value, name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        repairs.add("missing_count")
        return None
    if isinstance(value, Decimal) and not value.is_finite():
        raise RejectedPost("bad_reactions", f"{name} is {value}, not a whole number")
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
        repairs.add("count_as_float")
    if isinstance(value, bool) or not isinstance(value, int):
        raise RejectedPost("bad_reactions", f"{name} is {value!r}, not a whole number"[:300])
    if value < 0:
        raise RejectedPost("negative_count", f"{name} is {value}, which is negative"[:300])
    if value > MAX_REACTIONS:
        raise RejectedPost("bad_reactions", f"{name} is absurdly large")
    return value


def _of_text(text: str, name: str) -> int | float | None:
    text = text.strip()
    if text.casefold() in MISSING:
        return None
    if not _WHOLE.fullmatch(text):
        raise RejectedPost(
            "bad_reactions", f"{name} is {text[:80]!r}: write digits only, without separators or units"
        )
    whole, dot, _ = text.partition(".")
    return float(whole) if dot and abs(int(whole)) <= MAX_REACTIONS else int(whole)


def _total(value: dict[str, Any], name: str) -> Any:
    """Return the count of an object: {"summary": {"total_count": 3}}, {"count": 3}, {"data": [three]}."""
    summary = value.get("summary")
    for place in (summary if isinstance(summary, dict) else {}, value):
        for key in _COUNT_KEYS:
            if key in place:
                return place[key]
    if isinstance(value.get("data"), list):
        return len(value["data"])
    if not value:
        return None
    raise RejectedPost(
        "bad_reactions", f"{name} is an object without a count ({', '.join(list(value)[:5])})"[:300]
    )


def _total_of_all(value: Any) -> int:
    """Return the total beside a list of reactions: {"data": […], "summary": {"total_count": 3}}."""
    summary = value.get("summary") if isinstance(value, dict) else None
    return _quiet_count(summary) if isinstance(summary, dict) else 0


def _named(value: Any, mapping: Mapping) -> Iterator[tuple[str, Any]]:
    """Return (name, count) of every reaction in an object, a list, or a text that holds one of them."""
    if isinstance(value, str):
        value = None if value.strip().casefold() in MISSING else as_list(value, object_too=True)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return
    if isinstance(value, list):
        yield from map(_entry, value)
        return
    if not isinstance(value, dict):
        raise RejectedPost(
            "bad_reactions",
            f"{mapping.describe('reactions')} must be an object of counts by name, or a list of types",
        )
    around = () if mapping.whole_row else _AROUND_A_LIST
    if around and isinstance(value.get("data"), list):
        yield from map(_entry, value["data"])
    yield from ((str(name), count) for name, count in value.items() if name not in around)


def _entry(entry: Any) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, 1
    if isinstance(entry, dict):
        name = next((entry[key] for key in _TYPE_KEYS if isinstance(entry.get(key), str)), None)
        if name is not None:
            return name, next((entry[key] for key in _COUNT_KEYS if entry.get(key) is not None), 1)
    if isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str):
        return entry[0], entry[1]
    raise RejectedPost(
        "bad_reactions", f'a reaction must have a type, such as {{"type": "SAD"}}, not {entry!r}'[:300]
    )


def _other(name: str, value: Any, mapping: Mapping, counts: Counts) -> None:
    if mapping.whole_row and bare_name(name) not in BUTTONS:
        return  # of a flat table every other column would be one
    count = _quiet_count(value)
    if count:
        counts.other[printable_name(name)[:60]] = counts.other.get(printable_name(name)[:60], 0) + count


def _quiet_count(value: Any) -> int:
    """Return a count for a report, 0 where it cannot be parsed."""
    try:
        return count_of(value, "", set()) or 0
    except RejectedPost:
        return 0


def _unread(place: dict[Any, Any], mapping: Mapping, above: tuple[str, ...]) -> Iterator[str]:
    """Return the places that look like reactions and are not zero, but that the field map does not read."""
    for key, value in place.items():
        path = (*above, str(key))
        if mapping.reads(path):
            continue
        part_is_read = isinstance(value, dict) and mapping.reads_below(path)
        if not part_is_read and _looks_like_reactions(str(key), value, mapping):
            yield printable_name(".".join(path))[:120]
        elif isinstance(value, dict) and len(path) < _DEEPEST:
            yield from _unread(value, mapping, path)


def _looks_like_reactions(key: str, value: Any, mapping: Mapping) -> bool:
    if mapping.reaction(key) is not None:
        return _quiet_count(value) > 0
    if "reaction" not in key.casefold():
        return False
    if isinstance(value, dict):
        return any(_quiet_count(count) > 0 for count in value.values()) or bool(value.get("data"))
    if isinstance(value, str):
        return value.strip().casefold() not in MISSING and value.strip().strip("0") != ""
    return bool(value) if isinstance(value, list) else _quiet_count(value) > 0
