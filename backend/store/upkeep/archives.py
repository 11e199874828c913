"""Remove uploaded archives that are kept beside their unpacked copy, or whose run is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from .marks import mark

# An upload is in use while a run that unpacks it may still be executed, or retried.
_UNUSED = text(
    "SELECT id, sha256, size FROM uploads WHERE created_at < now() - make_interval(secs => :grace) AND NOT EXISTS ("
    "SELECT FROM runs, jsonb_each(inputs) input WHERE input.value->>'upload' = uploads.id::text "
    "AND (:keep OR state <> 'succeeded') "
    "AND NOT (state IN ('failed', 'cancelled') AND finished_at < now() - make_interval(secs => :retry))) "
    "ORDER BY id"
)
_DELETE = text("DELETE FROM uploads WHERE id = ANY(CAST(:ids AS uuid[]))")


class Rules(TypedDict):
    """How long uploads are kept: at least, and while a failed run may be retried; with ``keep``, while a run names one."""

    grace_seconds: float
    retry_days: float
    keep: bool


def unused_archives(db: Session, **rules: Unpack[Rules]) -> Sequence[Row[tuple[UUID, str, int]]]:
    """Return (id, SHA-256, bytes) of the uploads that no run needs by these rules."""
    retry = rules["retry_days"] * 86_400
    values = {"grace": rules["grace_seconds"], "retry": retry, "keep": rules["keep"]}
    return db.execute(_UNUSED, values).all()


def remove_archives(db: Session, **rules: Unpack[Rules]) -> int:
    """Delete the rows of these uploads and mark their objects; return how many."""
    unused = unused_archives(db, **rules)
    db.execute(_DELETE, {"ids": [row.id for row in unused]})
    mark(db, [row.sha256 for row in unused])
    return len(unused)
