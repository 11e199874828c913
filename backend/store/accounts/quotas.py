"""What one user may request and keep, so that nobody takes a host for oneself."""

from __future__ import annotations

import math
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.errors import TooMany
from backend.store.registry.tables import Upload, UploadReservation

SECONDS = 60
RESERVED = 64 * 2**20
"""Bytes that an upload reserves ahead, so that it need not reserve each part."""
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


def reserve_upload(
    db: Session, upload_id: UUID, user: UUID, size: int, most: int, seconds: float
) -> tuple[int, int]:
    """Reserve ``size`` bytes for an upload under way, and some more if there are; return (reserved, free for it).

    Uploads of a user that run at once can so never have more than ``most`` bytes together with those that are kept.
    Nothing is reserved if fewer bytes than ``size`` are free. A reservation ends with ``release_upload``, or
    ``seconds`` after its last ``renew_upload``, for one whose process was killed.
    """
    # Uploads of one user reserve one after the other.
    db.execute(select(User.id).where(User.id == user).with_for_update(key_share=True))
    kept = select(func.coalesce(func.sum(Upload.size), 0)).where(Upload.created_by == user)
    others = select(func.coalesce(func.sum(UploadReservation.size), 0)).where(
        UploadReservation.user_id == user,
        UploadReservation.id != upload_id,
        UploadReservation.until > func.now(),
    )
    free = max(0, most - int(db.scalar(kept) or 0) - int(db.scalar(others) or 0))
    if size > free:
        return 0, free
    # Half of the rest at most, so that others of the user may begin.
    reserved = size + min(RESERVED, (free - size) // 2)
    until = func.now() + timedelta(seconds=seconds)
    statement = insert(UploadReservation).values(id=upload_id, user_id=user, size=reserved, until=until)
    db.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_={"size": reserved, "until": until})
    )
    return reserved, free


def renew_upload(db: Session, upload_id: UUID, seconds: float) -> None:
    """Make the reservation of an upload under way last ``seconds`` from now."""
    until = func.now() + timedelta(seconds=seconds)
    db.execute(update(UploadReservation).where(UploadReservation.id == upload_id).values(until=until))


def release_upload(db: Session, upload_id: UUID) -> None:
    """End the reservation of an upload: it is kept as a row now, or was given up. Also ends those that are over."""
    over = or_(UploadReservation.id == upload_id, UploadReservation.until < func.now())
    db.execute(delete(UploadReservation).where(over))
