"""Cursors of paged lists: opaque texts that name the list, its order and the last row of a page."""

from __future__ import annotations

import base64
import json
from typing import Any

from backend.store.errors import Invalid


def write_cursor(*values: Any) -> str:
    """Return a text for JSON values; the first ones should say which list and order they belong to."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def read_cursor(cursor: str, *prefix: Any) -> list[Any]:
    """Return the values of a cursor after ``prefix``. Raises Invalid if it does not begin so."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor))
        # PostgreSQL cannot compare with a text that contains NUL.
        if tuple(values[: len(prefix)]) == prefix and not any("\0" in str(value) for value in values):
            return list(values[len(prefix) :])
    except (ValueError, TypeError, KeyError):
        pass
    raise bad_cursor()


def bad_cursor() -> Invalid:
    """The error for a cursor that a list did not give."""
    return Invalid("cursor", "is not a cursor of this list; start again without it")
