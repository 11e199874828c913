"""Remove objects of the storage that no row names: those that are marked, and those that a pass over all finds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from backend.store.database import Sessions, session_factory
from backend.store.locks import BACKUP_LOCK, SWEEP_LOCK
from backend.store.registry.storage import Storage

from .marks import mark
from .tables import Garbage

BATCH = 1000
"""Objects that are removed under one lock."""
SCANNED = 5000
"""Objects that one statement looks for in the rows."""

_NAMED = text(
    "SELECT row->>'sha256' FROM artifacts, jsonb_array_elements(manifest) row "
    "WHERE row->>'sha256' = ANY(CAST(:digests AS text[])) "
    "UNION SELECT sha256 FROM uploads WHERE sha256 = ANY(CAST(:digests AS text[]))"
)
_PURGE = text("DELETE FROM garbage WHERE state = 'removed' AND due_at < now() - interval '7 days'")


def named_objects(db: Session, digests: Collection[str]) -> set[str]:
    """Return those of these objects that an artifact or an upload names."""
    return set(db.scalars(_NAMED, {"digests": list(digests)}))


def remove_due(sessions: Sessions, storage: Storage) -> int:
    """Remove the marked objects that are due and that no row names; return how many.

    Safe at any time, in several processes at once, and when it is killed. Removes nothing while a backup is made.
    """
    removed = 0
    while True:
        with sweeping(sessions) as allowed:
            digests = _begin(sessions) if allowed else []
            storage.delete_all(digests)
            with sessions.begin() as db:
                ended = update(Garbage).where(Garbage.sha256.in_(digests))
                db.execute(ended.values(state="removed", due_at=func.now()))
                db.execute(_PURGE)
        removed += len(digests)
        if not digests:
            return removed


def _begin(sessions: Sessions) -> list[str]:
    """Commit that some due objects are being removed, also by an earlier pass that was killed; return them."""
    with sessions.begin() as db:
        due = select(Garbage).where(Garbage.due_at <= func.now(), Garbage.state != "removed")
        marks = db.scalars(due.order_by(Garbage.sha256).limit(BATCH).with_for_update(skip_locked=True)).all()
        named = named_objects(db, [mark.sha256 for mark in marks])
        for each in marks:
            if each.sha256 in named:
                db.delete(each)
            else:
                each.state = "removing"
        return [each.sha256 for each in marks if each.sha256 not in named]


@contextmanager
def sweeping(sessions: Sessions) -> Iterator[bool]:
    """Hold the sweep's lock; the value is False while another process sweeps, or makes a backup."""
    engine: Engine = sessions.kw["bind"]
    with session_factory(engine.execution_options(isolation_level="AUTOCOMMIT"))() as lock:
        try:
            allowed = lock.scalar(select(func.pg_try_advisory_lock_shared(BACKUP_LOCK)))
            yield bool(allowed and lock.scalar(select(func.pg_try_advisory_lock(SWEEP_LOCK))))
        finally:
            lock.execute(select(func.pg_advisory_unlock_all()))


def mark_orphans(sessions: Sessions, storage: Storage, grace_seconds: float) -> int:
    """Mark all objects that no row names, due after the grace time, in which a row may come; return how many."""
    count = 0
    for orphans in _orphans(sessions, storage.objects()):
        with sessions.begin() as db:
            mark(db, [sha256 for sha256, _ in orphans], grace_seconds)
        count += len(orphans)
    return count


def list_orphans(sessions: Sessions, storage: Storage) -> list[tuple[str, int]]:
    """Return digest and bytes of all objects that no row names."""
    return [orphan for orphans in _orphans(sessions, storage.objects()) for orphan in orphans]


def _orphans(sessions: Sessions, objects: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    rest = iter(objects)
    while some := list(islice(rest, SCANNED)):
        with sessions() as db:
            named = named_objects(db, [sha256 for sha256, _ in some])
        if orphans := [(sha256, size) for sha256, size in some if sha256 not in named]:
            yield orphans
