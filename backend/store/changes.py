"""Changes that were made from values which may have changed meanwhile."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.store.base import Base
from backend.store.errors import Conflict
from vise_client.schemas.wire import UpdateBody


def check_expected(db: Session, row: Base, body: UpdateBody) -> None:
    """Lock the row and compare it with ``body.expected``. Raises Conflict where a value has changed since it was read."""
    if not body.expected:
        return
    db.refresh(row, with_for_update={"key_share": True})
    changed = [field for field, value in body.expected.items() if getattr(row, field) != value]
    if changed:
        raise Conflict(
            f"{' and '.join(changed)} changed meanwhile, so nothing was saved; look at the new values, then decide again"
        )
