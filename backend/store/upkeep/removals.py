"""Removals of posts as rows: requested by an admin, done by a worker (``removal_work.py``)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.store.cursors import newest_first
from backend.store.errors import Conflict
from backend.store.rows import get_row
from backend.store.runs.tables import Worker
from backend.store.runs.workers import ALIVE
from vise_client.schemas.removals import RemovalState, RemovalView
from vise_client.schemas.wire import Page

from .tables import ClearedCache, Removal

WORKING = [state.value for state in RemovalState if state.working]


def create(db: Session, posts: Collection[str], user: UUID | None) -> Removal:
    """Have a worker list what holds these posts."""
    removal = Removal(posts=sorted(set(posts)), state=RemovalState.listing.value, created_by=user)
    db.add(removal)
    db.flush()
    db.refresh(removal)
    return removal


def get(db: Session, removal_id: UUID) -> Removal:
    """Return a removal. Raises NotFound if there is none with this id."""
    return get_row(db, Removal, removal_id, "removal")


def page(db: Session, *, cursor: UUID | None, limit: int) -> Page[RemovalView]:
    """Return a page of the removals, newest first."""
    rows, following = newest_first(db, select(Removal), Removal.id, cursor, limit)
    return Page[RemovalView](items=_views(db, [row for (row,) in rows]), next_cursor=following)


def apply(db: Session, removal_id: UUID) -> Removal:
    """Have a worker remove the posts, or list again what holds them if listing failed: nobody has seen what would go.

    Raises NotFound, and Conflict before the list is complete or if nothing is left.
    """
    removal = get_row(db, Removal, removal_id, "removal", lock=True)
    state = RemovalState(removal.state)
    if state is RemovalState.listing:
        raise Conflict("a worker still lists what holds the posts: wait until the removal is listed")
    if state is RemovalState.removed and not removal.left:
        raise Conflict("the posts have been removed already")
    if state is RemovalState.failed and removal.applied_at is None:
        removal.state = RemovalState.listing.value
        removal.error = removal.progress = ""
        db.flush()
    elif state is not RemovalState.removing:
        removal.state = RemovalState.removing.value
        removal.applied_at = func.now()
        removal.finished_at = None
        removal.error = removal.progress = ""
        db.flush()
        db.refresh(removal)
    return removal


def discard(db: Session, removal_id: UUID) -> None:
    """Delete a removal that was only listed. Raises NotFound, and Conflict once it was applied.

    An applied one stays, since a backup that is restored later may hold its posts.
    """
    removal = get_row(db, Removal, removal_id, "removal", lock=True)
    if removal.applied_at is not None:
        raise Conflict(
            "the removal was applied: its entry stays, so that no restored backup brings the posts back"
        )
    db.delete(removal)


def view(db: Session, removal: Removal) -> RemovalView:
    """Return a removal with the workers whose caches were cleared since, and those whose caches may hold the posts."""
    return _views(db, [removal])[0]


def _views(db: Session, removals: Sequence[Removal]) -> list[RemovalView]:
    done = [removal.id for removal in removals if removal.state == RemovalState.removed.value]
    cleared: dict[UUID, list[str]] = {}
    living: Sequence[str] = ()
    if done:
        rows = (
            select(ClearedCache.removal_id, ClearedCache.worker)
            .join(Removal, Removal.id == ClearedCache.removal_id)
            .where(Removal.id.in_(done), ClearedCache.at >= Removal.finished_at)
        )
        for removal_id, worker in db.execute(rows.order_by(ClearedCache.worker)):
            cleared.setdefault(removal_id, []).append(worker)
        alive = Worker.heartbeat_at > func.now() - ALIVE
        living = db.scalars(select(Worker.name).where(alive).order_by(Worker.name)).all()
    views = []
    for removal in removals:
        workers = cleared.get(removal.id, [])
        waiting = [name for name in living if name not in workers] if removal.id in done else []
        views.append(RemovalView.of(removal, caches_cleared=workers, caches_waiting=waiting))
    return views


def done(db: Session) -> dict[UUID, datetime]:
    """Return id → end of the removals that were done, after which caches are cleared."""
    rows = select(Removal.id, Removal.finished_at).where(Removal.state == RemovalState.removed.value)
    return {removal_id: finished_at for removal_id, finished_at in db.execute(rows) if finished_at}


def note_cleared(db: Session, worker: str, removals: Collection[UUID]) -> None:
    """Write that a worker has cleared its caches since these removals; delete what workers wrote that are gone."""
    gone = ~exists().where(
        Worker.name == ClearedCache.worker, Worker.heartbeat_at > func.now() - timedelta(days=7)
    )
    db.execute(delete(ClearedCache).where(gone, ClearedCache.at < func.now() - timedelta(days=7)))
    rows = [{"removal_id": removal_id, "worker": worker} for removal_id in removals]
    statement = insert(ClearedCache).values(rows)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["removal_id", "worker"], set_={"at": func.clock_timestamp()}
        )
    )


def next_due(db: Session, after: Collection[UUID]) -> Removal | None:
    """Return the oldest removal for which a worker has something to do, but for those of ``after``; None without."""
    due = select(Removal).where(Removal.state.in_(WORKING), Removal.id.not_in(after))
    return db.scalar(due.order_by(Removal.id).limit(1))
