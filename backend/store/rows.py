"""Single rows: found by id, or written under a name that must be free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.store.base import Base
from backend.store.errors import Conflict, NotFound

Row = TypeVar("Row", bound=Base)


def get_row(db: Session, table: type[Row], row_id: UUID, thing: str, *, lock: bool = False) -> Row:
    """Return the row with this id; with ``lock`` as it is now, locked. Raises NotFound, which names ``thing``."""
    row = db.get(table, row_id, with_for_update=True if lock else None, populate_existing=lock)
    if row is None:
        raise NotFound(f"there is no {thing} {row_id}")
    return row


@contextmanager
def unique(db: Session, thing: str) -> Iterator[None]:
    """Write the changes of the block.

    If they break a unique constraint, undoes them and raises Conflict, which says that there is ``thing`` already.
    """
    try:
        with db.begin_nested():
            yield
    except IntegrityError as error:
        raise Conflict(f"there is {thing} already; choose another") from error
