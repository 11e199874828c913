"""Read posts from one JSON list, element by element: memory holds one element, however long the file is.

The list is scanned here, not by a streaming parser: a broken element is rejected alone, not the file, and elements
are parsed by the same ``json.loads`` as JSONL, with the same NaN, large integers and floats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vise_core.errors import BadInput
from vise_core.posts.fields.mapping import Mapping
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.sources import JsonSource

from .images import ImageFinder
from .jsonl import json_post
from .raw import MAX_TEXT, Notes, RawPost
from .text import encoding_of, files_of, is_whole, opened_text, shown

CHUNK = 2**20
LISTS = ("data", "data.children", "posts", "posts.data", "feed.data", "items", "rows", "results")
"""Where a list is looked for in a file that is an object."""

_SPACE = re.compile(r"[ \t\r\n]*")
_MARK = re.compile(r'["\[\]{},]')
_STRING_BODY = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


class BrokenJson(BadInput):
    """The text outside the elements of a list is not JSON, or ends early."""


def read_json(folder: Path, source: JsonSource, notes: Notes) -> Iterator[RawPost]:
    """Yield a raw post for each element of a list. Raises BadInput if a file holds no list or ends early."""
    images = ImageFinder(folder, source.images, Mapping(source.fields))
    for path in files_of(folder, source.posts, notes):
        name = shown(folder, path)
        encoding = encoding_of(path, source.encoding, notes, guess=False)
        for number, text in enumerate(elements(path, encoding, source.list), 1):
            where = f"{name}: post {number}"
            if text is None:
                yield RawPost(
                    where,
                    None,
                    rejected=RejectedPost("long_line", "the post is longer than 64 Mi characters"),
                )
            elif not is_whole(text) and encoding.startswith("utf-8"):
                yield RawPost(where, None, rejected=RejectedPost("not_json", "the post is not UTF-8"))
            else:
                yield json_post(where, text, path, images)


def elements(path: Path, encoding: str, list_path: str | None) -> Iterator[str | None]:
    """Yield the texts of a list's elements, None for one that is too long.

    Raises BadInput, naming the file, if it holds no list at this place or is no JSON.
    """
    for place in _places(path, encoding, list_path):
        with opened_text(path, encoding, "") as file:
            cursor = _Cursor(file)
            try:
                if not cursor.enter(place):
                    continue
                yield from cursor.elements()
                if not place and not cursor.at_end():
                    raise BrokenJson("there is more after its list")
            except BrokenJson as error:
                raise BadInput(f"{path.name}: {error}") from error
        return
    tried = list_path or ", ".join(LISTS)
    raise BadInput(
        f"{path.name}: holds no list of posts (looked for {tried}); set source.list, or source.kind jsonl where the "
        "file has one object a line"
    )


def _places(path: Path, encoding: str, list_path: str | None) -> list[tuple[str, ...]]:
    if list_path is not None:
        return [tuple(list_path.split("."))]
    with opened_text(path, encoding, "") as file:
        first = _Cursor(file).peek()
    return [()] if first == "[" else [tuple(place.split(".")) for place in LISTS]


class _Cursor:
    """A position in a JSON text of any length. Text before it is dropped, except the current element."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._start: int | None = None
        self._too_long = False

    def peek(self) -> str:
        """Return the next character that is not a space; empty at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def at_end(self) -> bool:
        return self.peek() == ""

    def enter(self, place: tuple[str, ...]) -> bool:
        """Move behind the ``[`` of the list at this position; return False where there is none."""
        if not place:
            return self._take("[")
        if not self._take("{"):
            return False
        while self.peek() == '"':
            key = self._key()
            if not self._take(":"):
                raise BrokenJson(f"no colon after the key {key[:40]!r}")
            if key == place[0]:
                return self.enter(place[1:])
            self._skip_value()
            if not self._take(","):
                break
        return False

    def elements(self) -> Iterator[str | None]:
        """Yield the elements up to the closing ``]``; None for one that is too long."""
        depth = 0
        self._start, self._too_long = self._at, False
        while True:
            sign = self._mark()
            if sign in "[{":
                depth += 1
            elif depth:
                depth -= sign in "]}"
            elif sign == "}":
                raise BrokenJson("a } has no {")
            else:
                text = None if self._too_long else self._text[self._start : self._at - 1]
                if sign == "," or text is None or text.strip():
                    yield text
                if sign == "]":
                    self._start = None
                    return
                self._start, self._too_long = self._at, False

    def _mark(self) -> str:
        """Return the next of ``[]{},`` outside strings and move behind it."""
        while True:
            mark = _MARK.search(self._text, self._at)
            if mark is None:
                self._at = len(self._text)
                self._must_have_more()
            elif mark.group() == '"':
                self._at = mark.end()
                self._end_string()
            else:
                self._at = mark.end()
                return mark.group()

    def _end_string(self) -> None:
        """Move behind the closing quote."""
        while True:
            body = _STRING_BODY.match(self._text, self._at)
            self._at = body.end() if body else self._at
            if self._text[self._at : self._at + 1] == '"':
                self._at += 1
                return
            self._must_have_more()

    def _key(self) -> str:
        self._start, self._too_long = self._at, False
        self._at += 1
        self._end_string()
        text = "" if self._too_long else self._text[self._start : self._at]
        self._start = None
        try:
            return str(json.loads(text))
        except ValueError as error:
            raise BrokenJson(f"a key is not JSON ({error})") from error

    def _skip_value(self) -> None:
        """Move to the comma or bracket behind a value."""
        if self.peek() == '"':
            self._at += 1
            self._end_string()
            return
        depth = 0
        while True:
            sign = self._mark()
            if sign in "[{":
                depth += 1
                continue
            if depth:
                depth -= sign in "]}"
                if not depth and sign in "]}":
                    return
                continue
            self._at -= 1
            return

    def _take(self, sign: str) -> bool:
        if self.peek() != sign:
            return False
        self._at += 1
        return True

    def _must_have_more(self) -> None:
        if self._start is not None and self._at - self._start > MAX_TEXT:
            self._too_long = True
        if not self._more():
            raise BrokenJson("breaks off before its list ends: get the file again")

    def _more(self) -> bool:
        keep = self._at if self._start is None or self._too_long else self._start
        if self._start is not None:
            self._start = 0
        chunk = self._file.read(CHUNK)
        self._text = self._text[keep:] + chunk
        self._at -= keep
        return bool(chunk)
