"""Compiled field maps: JMESPath expressions for the id, image, comments and reactions of a row."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from vise_core.specs.posts.fields import REACTIONS, Fields, Reaction

Path = tuple[str, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKENS = re.compile(r"[^\W_]+")
_AROUND = frozenset({"reaction", "reactions", "count", "counts", "num", "number", "n", "total", "of", "type"})


class Mapping:
    """The compiled expressions of a ``Fields`` map, ready to be evaluated on rows.

    Attributes
    ----------
    expressions: field → its JMESPath expression; None where the map has none.
    names: reaction name in lower case → the reaction that it counts for; None where it counts for none.
    whole_row: whether ``reactions`` is the row itself (``@``), as in a flat table.
    """

    def __init__(self, fields: Fields) -> None:
        self.expressions = fields.expressions()
        self.names: dict[str, Reaction | None] = {**{name: name for name in REACTIONS}, **fields.names}
        self.whole_row = self.expressions["reactions"] == "@"
        self._get = {name: _compiled(text) for name, text in self.expressions.items() if text is not None}
        self._read: set[Path] = set()
        for name in ("reactions", *REACTIONS):
            text = self.expressions[name]
            if text is not None and text != "@":
                self._read |= _paths(jmespath.compile(text).parsed)

    def get(self, field: str, value: Any) -> Any:
        """Return the value of the field in a row or comment; None where it has none."""
        find = self._get.get(field)
        return None if find is None else find(value)

    def describe(self, field: str) -> str:
        """Return the field's name with its expression, for messages."""
        return f"source.fields.{field} ({self.expressions[field]})"

    def reaction(self, name: str) -> Reaction | None:
        """Return the reaction that a name stands for, None if it stands for none.

        Case, plural and affixes are ignored: ``LOVE``, ``num_loves`` and ``love_count`` are all love.
        """
        bare = bare_name(name)
        spellings = (name.strip().casefold(), bare, bare.removesuffix("s"))
        return next((self.names[spelling] for spelling in spellings if spelling in self.names), None)

    def reads(self, path: Path) -> bool:
        """Return True if a reaction expression reads this place of a row, or a place that contains it."""
        if self.whole_row and len(path) == 1 and self.reaction(path[0]) is not None:
            return True
        return any(path[: len(read)] == read for read in self._read)

    def reads_below(self, path: Path) -> bool:
        """Return True if a reaction expression reads a part of this place."""
        return any(read[: len(path)] == path and len(read) > len(path) for read in self._read)


def bare_name(name: str) -> str:
    """Return a reaction's name without prefix or suffix: ``Reactions.HAHA``, ``haha_count``, ``num_haha`` → haha."""
    left = [token for token in _TOKENS.findall(name.casefold()) if token not in _AROUND]
    return " ".join(left)


def _compiled(text: str) -> Callable[[Any], Any]:
    if text == "@":
        return lambda value: value
    if _NAME.fullmatch(text):
        # Most maps are plain names: a look-up in place of an interpreter.
        return lambda value: value.get(text) if isinstance(value, dict) else None
    expression = jmespath.compile(text)

    def find(value: Any) -> Any:
        try:
            return expression.search(value)
        # A function on a value of another type, the whole part of infinity, what is nested too deep: this row has no
        # such field.
        except (JMESPathError, ArithmeticError, ValueError, TypeError, RecursionError):
            return None

    return find


def _paths(node: Any) -> set[Path]:
    """Return the chains of names that an expression reads, as far as they are known without a row."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        return {(str(node["value"]),)}
    if kind in ("subexpression", "projection", "index_expression", "value_projection", "filter_projection"):
        left = _paths(children[0])
        right = _paths(children[1]) if len(children) > 1 else set()
        return {first + then for first in left for then in right or {()}}
    paths: set[Path] = set()
    for child in children:
        if isinstance(child, dict):
            paths |= _paths(child)
    return paths
