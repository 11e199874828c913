"""Marks on objects of the storage: what deletes a row marks its objects, what writes a row removes the mark.

How an object is never lost although several runs may have it in common, and a row is written long after its objects:

1. Before objects are stored, ``claim`` removes their marks, and waits for a removal that is under way.
2. ``require`` is called in the transaction that writes the row. It removes marks that came meanwhile, and raises
   ObjectsRemoved if an object was removed meanwhile: start again with 1.
3. The sweep (``sweep.remove_due``) locks the marks, keeps the objects that a row names, and commits that it removes
   the others before it does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, delete, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from backend.store.locks import BACKUP_LOCK, SWEEP_LOCK
from vise_core.errors import ViseError

from .tables import Garbage

_MARK_ARTIFACTS = text(
    "INSERT INTO garbage (sha256) SELECT DISTINCT row->>'sha256' FROM artifacts, jsonb_array_elements(manifest) row "
    "WHERE run_id = ANY(:runs) AND (CAST(:name AS text) IS NULL OR name = :name) ORDER BY 1 "
    "ON CONFLICT (sha256) DO UPDATE SET state = 'marked', due_at = now()"
)
_MARK_ORPHANS = text(
    "INSERT INTO garbage (sha256, due_at) SELECT sha256, now() + make_interval(secs => :delay) "
    "FROM unnest(CAST(:digests AS text[])) sha256 ORDER BY 1 ON CONFLICT (sha256) "
    "DO UPDATE SET state = 'marked', due_at = excluded.due_at WHERE garbage.state = 'removed'"
)


class ObjectsRemoved(ViseError):
    """Objects were removed between being stored and being named by a row: store them again."""


def mark_artifacts(db: Session, runs: Iterable[UUID], name: str | None = None) -> None:
    """Mark the objects of these runs' artifacts, or of those with this name, before their rows are deleted."""
    db.execute(_MARK_ARTIFACTS, {"runs": list(runs), "name": name})


def mark(db: Session, digests: Collection[str], delay: float = 0) -> None:
    """Mark objects, to be removed in ``delay`` seconds unless a row names them then."""
    db.execute(_MARK_ORPHANS, {"digests": list(digests), "delay": delay})


def claim(db: Session, digests: Collection[str]) -> None:
    """Remove the marks of objects that are about to be stored; wait until a sweep that removes some has ended."""
    named = _of(digests)
    if db.scalar(select(func.count()).select_from(Garbage).where(named, Garbage.state != "marked")):
        db.execute(select(func.pg_advisory_xact_lock_shared(SWEEP_LOCK)))
    _lock(db, digests)
    db.execute(delete(Garbage).where(named))


def require(db: Session, digests: Collection[str]) -> None:
    """Remove the marks of objects that the transaction's row names. Raises ObjectsRemoved if one was removed."""
    if any(state != "marked" for state in _lock(db, digests)):
        raise ObjectsRemoved("objects were removed while they were being stored")
    db.execute(delete(Garbage).where(_of(digests)))


def _of(digests: Collection[str]) -> ColumnElement[bool]:
    # One array: an artifact may have more files than a statement has parameters.
    return Garbage.sha256 == func.any(cast(list(digests), ARRAY(Text)))


def _lock(db: Session, digests: Collection[str]) -> list[str]:
    """Lock the marks in a fixed order, so that two writers never wait for each other; return their states."""
    marks = select(Garbage.state).where(_of(digests)).order_by(Garbage.sha256)
    return list(db.scalars(marks.with_for_update()))


def backup_runs(db: Session) -> bool:
    """Return whether a backup is being made, which needs what its snapshot names; none begins in this transaction."""
    return not db.scalar(select(func.pg_try_advisory_xact_lock_shared(BACKUP_LOCK)))
