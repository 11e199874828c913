"""Log lines of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from vise_client.schemas import LogLine

from .states import check_token
from .tables import RunLog

MAX_CHARACTERS = 20_000


def append(db: Session, run_id: UUID, token: int, lines: Sequence[tuple[datetime, str, str]]) -> None:
    """Add (time, level, message) lines. Raises StaleToken."""
    check_token(db, run_id, token)
    if lines:
        # PostgreSQL's text holds no NUL.
        rows = [
            {
                "run_id": run_id,
                "at": at,
                "level": level,
                "message": message.replace("\0", "")[:MAX_CHARACTERS],
            }
            for at, level, message in lines
        ]
        db.execute(insert(RunLog), rows)


def read(db: Session, run_id: UUID, *, after: int = 0, limit: int = 500) -> list[LogLine]:
    """The lines after the one with this id; with a negative ``after``, the last ``limit`` lines."""
    statement = select(RunLog).where(RunLog.run_id == run_id)
    if after < 0:
        rows = list(db.scalars(statement.order_by(RunLog.id.desc()).limit(limit)))[::-1]
    else:
        rows = list(db.scalars(statement.where(RunLog.id > after).order_by(RunLog.id).limit(limit)))
    return [LogLine.model_validate(row) for row in rows]
