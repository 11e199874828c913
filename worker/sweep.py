"""Upkeep in threads: the dispatcher sweeps the storage, each worker its own disk.

Workers also do the removals of posts that admins have requested, and clear their own caches afterwards.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from backend.store.database import SHORT, connect, session_factory
from backend.store.errors import in_words
from backend.store.serving import uploads
from backend.store.upkeep import gc, removals, sweep, workspaces
from vise_core.files.cache_folder import CLEARED, cache_subfolder, clear_cache

from .context import Context

log = logging.getLogger("vise.sweep")
POLL_SECONDS = 2.0
PAUSE_SECONDS = 10.0
"""Seconds between two looks for removals, and after an error."""


def sweep_storage(context: Context, stop: threading.Event) -> None:
    """Remove objects, states and uploads; in a thread of the dispatcher, so that a slow storage delays no run."""
    settings = context.settings
    scan_at = time.monotonic() + settings.gc_scan_seconds
    while not stop.is_set():
        try:
            uploads.sweep(context.sessions, context.storage, settings.gc_grace_seconds)
            gc.remove_outdated(context.sessions, context.storage, settings)
            if time.monotonic() >= scan_at:
                sweep.mark_orphans(context.sessions, context.storage, settings.gc_grace_seconds)
                scan_at = time.monotonic() + settings.gc_scan_seconds
            if removed := sweep.remove_due(context.sessions, context.storage):
                log.info("removed %d objects that nothing names", removed)
        # Of the database, the system, fsspec or the bucket's client: there are many.
        except Exception as error:
            log.warning("the storage is swept later: %s", in_words(error))
        stop.wait(settings.gc_seconds)


def sweep_workspaces(context: Context, stop: threading.Event) -> None:
    """Remove workspaces and copies of models that killed workers left on this disk."""
    while not stop.is_set():
        try:
            if removed := workspaces.remove_workspaces(
                context.sessions, context.settings.workspaces.resolve()
            ):
                log.info("removed %d folders of dead runs and workers", removed)
        except Exception as error:  # of the database and of the system
            log.warning("workspaces are swept later: %s", in_words(error))
        stop.wait(context.settings.gc_seconds)


def follow_removals(context: Context, clears: CacheClearing, stop: threading.Event, *, works: bool) -> None:
    """Clear this worker's caches after each removal; with ``works`` also do what is due of the removals."""
    # A statement may last, since it looks through all rows; a transaction that is left open may not.
    engine = connect(context.settings.database_url, pool_size=2, limits=replace(SHORT, statement=0, lock=30))
    sessions, unrestored = session_factory(engine), works
    warned: set[str] = set()

    def work() -> None:
        from backend.store.upkeep import removal_work

        nonlocal unrestored
        if unrestored and (again := removal_work.restore_kept(sessions, context.storage)):
            log.warning("%d removals of posts are done again after a restore", again)
        unrestored = False
        removal_work.work(sessions, context.storage, context.settings.data_root, stop.is_set)

    while not stop.is_set():
        failed = False
        # A cache that cannot be cleared is no reason not to remove.
        for do in (work, clears.follow) if works else (clears.follow,):
            try:
                do()
            # Of the database, the system, fsspec or the bucket's client: there are many.
            except Exception as error:
                failed, reason = True, in_words(error)
                if reason not in warned:
                    warned.add(reason)
                    log.warning("removals of posts go on later: %s", reason)
        if not failed:
            warned.clear()
        stop.wait(PAUSE_SECONDS if failed else POLL_SECONDS)
    engine.dispose()


class CacheClearing:
    """Clears the caches of this worker: those in memory, and the cache folder, which workers of a host may share."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._noted: dict[UUID, datetime] = {}

    def follow(self) -> None:
        """Clear the caches if a removal was done since they were cleared last, and write so."""
        with self._context.sessions() as db:
            done = removals.done(db)
        new = done.items() - self._noted.items()
        if not new:
            return
        from .predict import clear_models

        clear_models(self._context)
        _clear_folder({f"{removal_id} {end.isoformat()}" for removal_id, end in new})
        with self._context.sessions.begin() as db:
            removals.note_cleared(db, self._context.name, [removal_id for removal_id, _ in new])
        self._noted = done


def _clear_folder(removed: set[str]) -> None:
    """Clear the cache folder, unless this worker or another one has cleared it since all these removals."""
    folder = cache_subfolder()
    if folder is None:
        return
    marker = folder / CLEARED
    known = set(json.loads(marker.read_bytes())) if marker.exists() else set()
    if removed <= known:
        return
    clear_cache()
    part = marker.with_name(f"{CLEARED}.{uuid4().hex}")
    # The folder may be another account's, with nothing to clear: each worker then looks for itself.
    with suppress(PermissionError):
        part.write_text(json.dumps(sorted(known | removed)))
        part.replace(marker)
    log.info("the cache folder is cleared, as posts were removed")
