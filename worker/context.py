"""What every process of the worker room shares: settings, database, storage."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from backend.settings import Settings, settings
from backend.store.database import Sessions, connect, session_factory
from backend.store.registry.storage import Storage

log = logging.getLogger("vise.worker")


@dataclass(frozen=True)
class Context:
    settings: Settings
    sessions: Sessions
    storage: Storage
    name: str

    def state_storage(self, run_id: UUID, token: int | None = None) -> Storage:
        """Where a run's states to resume from lie; with a token, those that one holder of the run wrote.

        Apart from artifacts, so that outdated ones can be deleted; apart by holder, so that one that was given up
        but lives on can neither delete nor half-write what its successor needs.
        """
        url = f"{self.settings.storage_url.rstrip('/')}/checkpoints/{run_id}"
        return Storage(url if token is None else f"{url}/{token}")

    def write(self, write: Callable[[Session], object], stop: threading.Event | None = None) -> None:
        """One transaction; again and again while the database is away, or until ``stop`` is set.

        Raises what ``write`` raises, and after ``stop`` what the database does.
        """
        pause = 0.2
        while True:
            try:
                with self.sessions.begin() as db:
                    write(db)
                return
            except (OperationalError, InterfaceError) as error:
                if stop is not None and stop.is_set():
                    raise
                log.warning("the database does not answer, trying again in %.1f s: %s", pause, error)
                time.sleep(pause)
                pause = min(2 * pause, 10)


@cache
def context() -> Context:
    """Made on first use, once a process."""
    found = settings()
    return Context(
        found,
        session_factory(connect(found.database_url)),
        Storage(found.storage_url),
        os.environ.get("VISE_WORKER_NAME") or f"{socket.gethostname()}-{os.getpid()}",
    )
