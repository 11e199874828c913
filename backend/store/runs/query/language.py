"""The query language of the run list, such as ``stage = pretrain and spec.base_lr < 0.01 and not archived``.

    query      = [ either ]
    either     = both { "or" both }
    both       = one { "and" one }
    one        = "not" one | "(" either ")" | flag | comparison | phrase
    comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" ) value
               | field [ "not" ] "in" "(" value { "," value } ")"
    phrase     = words without an operator, or a quoted text: part of the name, or a tag

``parse`` gives a tree, ``condition`` makes it an SQL expression in which every value is a bound parameter. A
comparison with what a run does not have is false, and ``!=`` is the opposite of ``=``; ``= none`` matches it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backend.store.errors import Invalid

from .fields import Field, find_field, read_value

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "!~", "in", "not in"]
OPERATORS: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=", "~", "!~", "in", "not in")
LONGEST = 2000
DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<symbol><=|>=|!=|!~|[=<>~(),])
      | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<word>[^\s=<>~(),"']+?(?=!=|!~|[\s=<>~(),"']|$))
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A token of a query; ``at`` is its position, from 0."""

    kind: Literal["symbol", "text", "word", "end"]
    text: str
    at: int


@dataclass(frozen=True)
class Comparison:
    """A field compared with one value, or with several for ``in``."""

    field: Field
    operator: Operator
    values: tuple[object, ...]


@dataclass(frozen=True)
class Phrase:
    """Part of a run's name, or a whole tag."""

    text: str


@dataclass(frozen=True)
class Not:
    """Negation of a node."""

    part: Node


@dataclass(frozen=True)
class All:
    """Conjunction of nodes; without parts, every run matches."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOf:
    """Disjunction of nodes."""

    parts: tuple[Node, ...]


Node = Comparison | Phrase | Not | All | AnyOf


class QueryError(Invalid):
    """A query that cannot be parsed: its position (``at``, from 0) and what was expected there."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__("query", f"at character {at + 1}: {message}")
        self.at = at


def parse(query: str) -> Node:
    """Return the tree of a query, ``All(())`` if it is empty.

    Raises QueryError, with the position, for a text that is not of the language, or too long.
    """
    if len(query) > LONGEST:
        raise QueryError(f"a query may have at most {LONGEST} characters", LONGEST)
    if "\0" in query:
        raise QueryError("expected text without NUL characters", query.index("\0"))
    parser = _Parser(_tokens(query))
    if parser.over:
        return All(())
    tree = parser.either(0)
    if not parser.over:
        raise QueryError(f"expected and, or, or the end of the query, not {parser.shown()}", parser.now.at)
    return tree


def _tokens(query: str) -> list[Token]:
    tokens, at = [], 0
    end = len(query.rstrip())
    while at < end:
        match = _TOKEN.match(query, at)
        if match is None or match.end() == at:
            start = at + len(query[at:]) - len(query[at:].lstrip())
            if query[start] in "\"'":
                raise QueryError(f"expected a closing {query[start]}", start)
            raise QueryError(f"expected a field, a value or an operator, not {query[start]!r}", start)
        kind = str(match.lastgroup)
        start = match.start(kind)
        if kind in ("double", "single"):
            tokens.append(Token("text", re.sub(r"\\(.)", r"\1", match[kind]), start - 1))
        else:
            tokens.append(Token("symbol" if kind == "symbol" else "word", match[kind], start))
        at = match.end()
    return [*tokens, Token("end", "", end)]


class _Parser:
    """Recursive-descent parser with one method per rule of the grammar; ``depth`` bounds the recursion."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens, self.position = tokens, 0

    @property
    def now(self) -> Token:
        return self.tokens[self.position]

    @property
    def over(self) -> bool:
        return self.position == len(self.tokens) - 1

    def shown(self) -> str:
        return "the end" if self.over else repr(self.now.text)

    def is_word(self, *words: str, ahead: int = 0) -> bool:
        token = self.tokens[min(self.position + ahead, len(self.tokens) - 1)]
        return token.kind == "word" and token.text.lower() in words

    def is_symbol(self, *symbols: str, ahead: int = 0) -> bool:
        token = self.tokens[min(self.position + ahead, len(self.tokens) - 1)]
        return token.kind == "symbol" and token.text in symbols

    def take(self) -> Token:
        token = self.now
        self.position += not self.over
        return token

    def either(self, depth: int) -> Node:
        parts = [self.both(depth)]
        while self.is_word("or"):
            self.take()
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def both(self, depth: int) -> Node:
        parts = [self.one(depth)]
        while self.is_word("and"):
            self.take()
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise QueryError(f"at most {DEEPEST} levels of not and brackets", self.now.at)
        if self.is_word("not"):
            self.take()
            return Not(self.one(depth + 1))
        if self.is_symbol("("):
            self.take()
            inner = self.either(depth + 1)
            if not self.is_symbol(")"):
                raise QueryError(f"expected ), not {self.shown()}", self.now.at)
            self.take()
            return inner
        if self.now.kind not in ("word", "text") or self.is_word("and", "or", "in"):
            raise QueryError(
                f"expected a field such as stage, a flag such as starred, or (, not {self.shown()}",
                self.now.at,
            )
        compared = self.is_symbol("=", "!=", "<", "<=", ">", ">=", "~", "!~", ahead=1)
        among = self.is_word("in", ahead=1) or (self.is_word("not", ahead=1) and self.is_word("in", ahead=2))
        if self.now.kind == "word" and (compared or among):
            return self.comparison()
        return self.phrase()

    def comparison(self) -> Node:
        name = self.take()
        field = find_field(name.text)
        if isinstance(field, str):
            raise QueryError(field, name.at)
        if self.is_word("in", "not"):
            negated = self.take().text.lower() == "not"
            if negated:
                self.take()
            return Comparison(field, "not in" if negated else "in", self.several(field))
        symbol = self.take()
        operator = next(o for o in OPERATORS if o == symbol.text)
        if operator not in field.operators:
            raise QueryError(f"{name.text} takes {', '.join(field.operators)}, not {operator}", symbol.at)
        return Comparison(field, operator, (self.value(field, operator),))

    def several(self, field: Field) -> tuple[object, ...]:
        if not self.is_symbol("("):
            raise QueryError(f"expected ( after in, not {self.shown()}", self.now.at)
        self.take()
        values = [self.value(field, "in")]
        while self.is_symbol(","):
            self.take()
            values.append(self.value(field, "in"))
        if not self.is_symbol(")"):
            raise QueryError(f"expected , or ), not {self.shown()}", self.now.at)
        self.take()
        return tuple(values)

    def value(self, field: Field, operator: Operator) -> object:
        token = self.now
        if token.kind not in ("word", "text"):
            raise QueryError(f"expected {field.expects}, not {self.shown()}", token.at)
        self.take()
        try:
            return read_value(field, token.text, operator, quoted=token.kind == "text")
        except ValueError as error:
            raise QueryError(str(error), token.at) from error

    def phrase(self) -> Node:
        first = self.take()
        if first.kind == "word":
            flag = find_field(first.text)
            if isinstance(flag, Field) and flag.kind == "flag":
                return Comparison(flag, "=", (True,))
            words = [first.text]
            while self.now.kind == "word" and not self.is_word("and", "or", "not"):
                words.append(self.take().text)
            # The last word may be the field of a comparison without ``and`` before it.
            if self.now.kind == "symbol" and not self.is_symbol(")"):
                raise QueryError(
                    f"expected and or or before {words[-1]!r}", self.tokens[self.position - 1].at
                )
            return Phrase(" ".join(words))
        return Phrase(first.text)
