"""Requests that are sent again, because their response was lost, create nothing twice (the header Idempotency-Key)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.store.accounts.tables import RequestKey
from backend.store.errors import Invalid


def once(db: Session, user_id: UUID, key: UUID, request: str, create: Callable[[], UUID]) -> UUID:
    """Call ``create`` and return the id of what it has created; for a known key, return that id again.

    ``request`` is a digest of the request. While another transaction uses the key, this one waits for its end. Raises
    Invalid if the key belongs to another request.
    """
    mine = (RequestKey.user_id == user_id, RequestKey.key == key)
    new = insert(RequestKey).values(user_id=user_id, key=key, request=request).on_conflict_do_nothing()
    if db.scalar(new.returning(RequestKey.key)) is None:
        known = db.execute(select(RequestKey.request, RequestKey.run_id).where(*mine)).one()
        if known.request != request or known.run_id is None:
            raise Invalid(
                "Idempotency-Key", "belongs to another request; send a new key with each new request"
            )
        run_id: UUID = known.run_id
        return run_id
    created = create()
    db.execute(update(RequestKey).where(*mine).values(run_id=created))
    return created
