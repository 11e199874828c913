"""Cursors of paged lists: opaque texts that name the list, its order and the last row of a page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, TypeVarTuple
from uuid import UUID

from sqlalchemy import Row, Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.store.errors import Invalid

Columns = TypeVarTuple("Columns")


def newest_first(
    db: Session,
    statement: Select[*Columns],
    key: InstrumentedAttribute[UUID],
    cursor: UUID | None,
    limit: int,
    *then: InstrumentedAttribute[Any],
) -> tuple[Sequence[Row[*Columns]], str | None]:
    """Return the page of rows after the id ``cursor``, newest first, and the cursor of the next page.

    ``key``: the id of the table that ``statement`` selects first; ``then``: the order of rows with the same id.
    """
    if cursor is not None:
        statement = statement.where(key < cursor)
    rows = db.execute(statement.order_by(key.desc(), *then).limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, None
    last: Any = rows[limit - 1]
    return rows[:limit], str(last[0].id)


def write_cursor(*values: Any) -> str:
    """Return a text for JSON values; the first ones should say which list and order they belong to."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def read_cursor(cursor: str, *prefix: Any) -> list[Any]:
    """Return the values of a cursor after ``prefix``.

    Raises Invalid for a cursor that is damaged or begins with other values.
    """
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor))
        # PostgreSQL cannot compare with a text that contains NUL.
        if tuple(values[: len(prefix)]) == prefix and not any("\0" in str(value) for value in values):
            return list(values[len(prefix) :])
    except (ValueError, TypeError, KeyError):
        pass
    raise bad_cursor()


def bad_cursor() -> Invalid:
    """Return the error for a cursor that a list did not return."""
    return Invalid("cursor", "is not a cursor of this list; start again without it")
