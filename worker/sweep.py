"""Regular removal of what nothing needs: in the dispatcher for storage, in each worker for its own disk."""

from __future__ import annotations

import logging
import threading
import time

from backend.store.errors import in_words
from backend.store.serving import uploads
from backend.store.upkeep import gc, sweep, workspaces

from .context import Context

log = logging.getLogger("vise.sweep")


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
    """Remove workspaces that killed workers left on this disk."""
    while not stop.is_set():
        try:
            if removed := workspaces.remove_workspaces(
                context.sessions, context.settings.workspaces.resolve()
            ):
                log.info("removed %d workspaces of dead runs", removed)
        except Exception as error:  # of the database and of the system
            log.warning("workspaces are swept later: %s", in_words(error))
        stop.wait(context.settings.gc_seconds)
