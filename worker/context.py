"""The settings, database and storage that the processes of a worker use."""

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

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.settings import Settings, settings
from backend.store.database import SHORT, Sessions, connect, session_factory
from backend.store.errors import in_words, is_transient
from backend.store.registry.storage import Storage
from backend.store.upkeep.states import state_storage

log = logging.getLogger("vise.worker")


@dataclass(frozen=True)
class Context:
    """Settings, sessions, storage and the worker's name."""

    settings: Settings
    sessions: Sessions
    storage: Storage
    name: str

    def state_storage(self, run_id: UUID, token: int | None = None) -> Storage:
        """Return the storage of a run's checkpoints, or of those that the holder of a fencing token wrote."""
        return state_storage(self.settings.storage_url, run_id, token)

    def write(self, write: Callable[[Session], object], stop: threading.Event | None = None) -> None:
        """Run ``write`` in a transaction; retry while the database does not respond, until ``stop`` is set.

        A transaction whose acknowledgement is lost runs again although it was committed. Raises any error of ``write``,
        an error of the database that would come again each time, and after ``stop`` every error.
        """
        pause = 0.2
        while True:
            try:
                with self.sessions.begin() as db:
                    write(db)
                return
            except SQLAlchemyError as error:
                if not is_transient(error) or (stop is not None and stop.is_set()):
                    raise
                log.warning("the database does not respond; retrying in %.1f s: %s", pause, in_words(error))
                time.sleep(pause)
                pause = min(2 * pause, 5)


@cache
def get_context() -> Context:
    """Return the context of this process, created on first use."""
    config = settings()
    return Context(
        config,
        session_factory(connect(config.database_url, limits=SHORT)),
        Storage(config.storage_url),
        config.worker_name or f"{socket.gethostname()}-{os.getpid()}",
    )
