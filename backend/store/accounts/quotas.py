"""What one user may request and keep, so that nobody takes a host for oneself."""

from __future__ import annotations

import math
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from backend.store.errors import TooMany
from backend.store.registry.tables import Upload

SECONDS = 60
# The ids begin with the time: an index finds those of the last minute.
_REQUESTED = text(
    """
    SELECT count(*), extract(epoch FROM now() - min(created_at)) FROM (
        SELECT created_at FROM predictions
        WHERE created_by = :user AND id > (SELECT uuidv7(INTERVAL '-60 seconds'))
        UNION ALL
        SELECT created_at FROM engagement
        WHERE created_by = :user AND id > (SELECT uuidv7(INTERVAL '-60 seconds'))
    ) AS requested
    """
)


def check_predictions(db: Session, user: UUID, most: int) -> None:
    """Raise TooMany if the user has requested ``most`` predictions within the last minute."""
    number, since_first = db.execute(_REQUESTED, {"user": user}).one()
    if number >= most:
        raise TooMany(
            f"you have requested {number:,} predictions within a minute; the limit is {most:,} "
            "(VISE_MAX_PREDICTIONS_PER_MINUTE)",
            max(1, math.ceil(SECONDS - float(since_first))),
        )


def uploaded_bytes(db: Session, user: UUID) -> int:
    """Return the size of all archives that a user has uploaded and that are kept."""
    return int(db.scalar(select(func.sum(Upload.size)).where(Upload.created_by == user)) or 0)
