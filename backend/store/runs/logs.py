"""Log lines of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from backend.store.database import Sessions
from backend.store.runs.states.lease import check_token
from backend.store.runs.tables import RunLog
from vise_client.schemas.runs import LogLevel, LogLine
from vise_core.files.names import printable_text

MAX_CHARACTERS = 20_000
LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")
"""From the least to the most urgent."""


def append(
    db: Session,
    run_id: UUID,
    token: int,
    lines: Sequence[tuple[datetime, str, str]],
    *,
    again: bool = False,
) -> None:
    """Add (time, level, message) lines. Raises StaleToken if the run is no longer held with ``token``.

    ``again``: an earlier attempt may have been committed without an acknowledgement; lines of it are not added twice.
    """
    check_token(db, run_id, token)
    if lines and again:
        written = (RunLog.run_id == run_id, RunLog.at.in_({at for at, _, _ in lines}))
        times = set(db.scalars(select(RunLog.at).where(*written)))
        lines = [line for line in lines if line[0] not in times]
    if lines:
        rows = [
            {
                "run_id": run_id,
                "at": at,
                "level": level,
                "message": printable_text(message)[:MAX_CHARACTERS],
            }
            for at, level, message in lines
        ]
        db.execute(insert(RunLog), rows)


def read(
    db: Session,
    run_id: UUID,
    *,
    after: int = 0,
    before: int | None = None,
    limit: int = 500,
    level: LogLevel | None = None,
    search: str | None = None,
) -> list[LogLine]:
    """Return log lines in order: those after the id ``after``, or the last ones before ``before``, at most ``limit``.

    A negative ``after`` means the last lines of all. ``level``: the least level; ``search``: part of the line, in any
    case.
    """
    statement = select(RunLog).where(RunLog.run_id == run_id)
    if level is not None:
        statement = statement.where(RunLog.level.in_(LEVELS[LEVELS.index(level) :]))
    if search:
        statement = statement.where(RunLog.message.icontains(search, autoescape=True))
    if before is not None:
        statement = statement.where(RunLog.id < before)
    if after < 0 or before is not None:
        rows = list(db.scalars(statement.order_by(RunLog.id.desc()).limit(limit)))[::-1]
    else:
        rows = list(db.scalars(statement.where(RunLog.id > after).order_by(RunLog.id).limit(limit)))
    return [LogLine.model_validate(row) for row in rows]


def whole(sessions: Sessions, run_id: UUID) -> Iterator[str]:
    """Yield all lines as text, a page at a time, each in a transaction of its own: a slow reader holds none open."""
    last = 0
    while True:
        with sessions() as db:
            page = read(db, run_id, after=last, limit=5000)
        if not page:
            return
        yield "".join(
            f"{line.at.isoformat(timespec='milliseconds')} {line.level} {line.message}\n" for line in page
        )
        last = page[-1].id
