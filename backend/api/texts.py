"""The check of all that a request sends as text, before any route sees it.

PostgreSQL stores neither NUL nor half a surrogate pair, and its JSON neither NaN nor Infinity. A text that is longer, a
number that is larger or JSON that is deeper than anything we store would fail later, somewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from backend.store.errors import Invalid

LONGEST = 100_000
"""Characters of a text in a body, or of a header; a field's own limit may be lower."""
LONGEST_NAME = 4096
"""Characters of a field's name, the path, a query parameter, or a file's name."""
DEEPEST = 50
"""Objects and lists inside each other."""
LARGEST = 2**63
"""PostgreSQL's largest integer; larger ones are sent by nobody who counts."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


async def check_texts(request: Request) -> None:
    """Raise Invalid (422) with the first field that holds what cannot be stored.

    A dependency of all routes: FastAPI has parsed the body by then, and neither a token nor a parameter is read before.
    """
    for name, value in request.headers.items():
        _check(value, LONGEST, name)
    _check(request.url.path, LONGEST_NAME, "path")
    for name, value in request.query_params.multi_items():
        _check(name, LONGEST_NAME, "query")
        _check(value, LONGEST_NAME, name)
    # Set by Starlette once a body was parsed.
    if (form := getattr(request, "_form", None)) is not None:
        _check_form(form)
    elif hasattr(request, "_json"):
        _check_json(request._json)


def _check_form(form: FormData) -> None:
    for name, value in form.multi_items():
        _check(name, LONGEST_NAME, "body")
        if isinstance(value, UploadFile):
            _check(value.filename or "", LONGEST_NAME, f"{name}.filename")
            for header in value.headers.values():
                _check(header, LONGEST_NAME, name)
        else:
            _check(value, LONGEST, name)


def _check_json(body: Any) -> None:
    """Check every text and number of a JSON document, without recursion."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), body)]
    while waiting:
        path, value = waiting.pop()
        field = ".".join(path) or "body"
        if isinstance(value, str):
            _check(value, LONGEST, field)
        elif isinstance(value, dict | list):
            if len(path) >= DEEPEST:
                raise Invalid(_shown(field), f"is nested more than {DEEPEST} levels deep")
            waiting += _parts(path, field, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise Invalid(_shown(field), "is not a finite number")
        elif isinstance(value, int) and not -LARGEST <= value < LARGEST:
            raise Invalid(_shown(field), "is larger than an integer of 64 bits")


def _parts(
    path: tuple[str, ...], field: str, value: dict[str, Any] | list[Any]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, list):
        yield from (((*path, str(number)), item) for number, item in enumerate(value))
        return
    for name, item in value.items():
        _check(name, LONGEST_NAME, field)
        yield (*path, name), item


def _check(text: str, longest: int, field: str) -> None:
    if len(text) > longest:
        raise Invalid(_shown(field), f"is longer than {longest:,} characters")
    if not text.isascii() or "\0" in text:
        unstorable = _UNSTORABLE.search(text)
        if unstorable is not None:
            what = "NUL" if unstorable[0] == "\0" else f"half a surrogate pair (U+{ord(unstorable[0]):04X})"
            raise Invalid(_shown(field), f"contains {what}, which is not text")


def _shown(field: str) -> str:
    """Return a field's path for the response, which must not hold what cannot be encoded."""
    return _UNSTORABLE.sub("\ufffd", field)[:200]
