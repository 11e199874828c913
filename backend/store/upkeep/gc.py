"""All that may be removed: what ``vise gc`` lists and removes, and the dispatcher removes from time to time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from backend.settings import Settings
from backend.store.database import Sessions
from backend.store.registry.storage import Storage
from backend.store.serving import uploads

from . import archives, states, sweep, workspaces
from .tables import Garbage

INCOMING = "incoming"


@dataclass(frozen=True)
class Removable:
    """Things of one kind, with their bytes by name."""

    kind: str
    things: Mapping[str, int]


def find_removable(sessions: Sessions, storage: Storage, settings: Settings) -> Iterator[Removable]:
    """Yield what ``remove`` would remove, kind by kind, and what it would only mark."""
    due = select(Garbage.sha256).where(Garbage.state != "removed", Garbage.due_at <= func.now())
    with sessions() as db:
        marked = set(db.scalars(due))
        unused = archives.unused_archives(db, **_archive_rules(settings))
    orphans = dict(sweep.list_orphans(sessions, storage))
    grace = settings.gc_grace_seconds
    yield Removable("objects of deleted runs and data", {k: v for k, v in orphans.items() if k in marked})
    yield Removable(
        f"objects that no row names, once {grace:g} s have passed",
        {k: v for k, v in orphans.items() if k not in marked},
    )
    yield Removable("replaced and expired states of runs", states.outdated_states(sessions, storage, grace))
    yield Removable("uploaded archives that no run needs", {str(row.id): row.size for row in unused})
    stored, local = _half_written(storage, settings)
    parts = {f"{path}, parts in the bucket": 0 for path, _ in _parts(storage, settings)}
    yield Removable("files that were never completed", stored | local | parts)
    dead = workspaces.dead_workspaces(sessions, settings.workspaces.resolve())
    yield Removable(
        "workspaces of dead runs on this host", {str(path): workspaces.size_of(path) for path in dead}
    )
    copies = workspaces.dead_copies(sessions, settings.workspaces.resolve())
    yield Removable(
        "models copied by dead workers of this host", {str(path): workspaces.size_of(path) for path in copies}
    )


def remove(sessions: Sessions, storage: Storage, settings: Settings) -> None:
    """Remove all of it. What runs need stays; safe at any time and when it is killed."""
    remove_outdated(sessions, storage, settings)
    sweep.mark_orphans(sessions, storage, settings.gc_grace_seconds)
    sweep.remove_due(sessions, storage)
    uploads.sweep(sessions, storage, settings.gc_grace_seconds)
    workspaces.remove_workspaces(sessions, settings.workspaces.resolve())


def remove_outdated(sessions: Sessions, storage: Storage, settings: Settings) -> None:
    """Remove what the retention rules of the settings no longer keep, and files that were never completed."""
    with sessions.begin() as db:
        archives.remove_archives(db, **_archive_rules(settings))
        states.expire_states(db, settings.saved_state_days)
    states.remove_outdated_states(sessions, storage, settings.gc_grace_seconds)
    stored, local = _half_written(storage, settings)
    storage.remove_files(stored)
    for name in local:
        Path(name).unlink(missing_ok=True)
    for path, upload_id in _parts(storage, settings):
        storage.abort(path, upload_id)


def _half_written(storage: Storage, settings: Settings) -> tuple[dict[str, int], dict[str, int]]:
    """Return path → bytes of files that writers left: in the storage, and in the API's folder for uploads under way."""
    before = time.time() - settings.gc_grace_seconds
    stored = {path: facts.size for path, facts in storage.files(INCOMING) if facts.written < before}
    folder = settings.home / INCOMING
    facts = {str(path): path.lstat() for path in (folder.iterdir() if folder.is_dir() else ())}
    return stored, {path: fact.st_size for path, fact in facts.items() if fact.st_mtime < before}


def _parts(storage: Storage, settings: Settings) -> list[tuple[str, str]]:
    return storage.unfinished(time.time() - settings.gc_grace_seconds)


def _archive_rules(settings: Settings) -> archives.Rules:
    return {
        "grace_seconds": settings.gc_grace_seconds,
        "retry_days": settings.saved_state_days,
        "keep": settings.keep_archives,
    }
