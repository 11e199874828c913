"""The settings, database and storage that the processes of a worker use."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.settings import Settings, settings
from backend.store.database import SHORT, Sessions, connect, session_factory
from backend.store.errors import in_words, is_transient
from backend.store.registry.storage import Storage
from backend.store.registry.storage_away import StorageAway, responding
from backend.store.runs.states.attempts import RetryPolicy
from backend.store.schema import schema_problem
from backend.store.upkeep.states import state_storage

T = TypeVar("T")
log = logging.getLogger("vise.worker")
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two calls of a server that does not respond."""


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

        def attempt() -> None:
            with self.sessions.begin() as db:
                write(db)

        def passes(error: Exception) -> str | None:
            if not is_transient(error) or (stop is not None and stop.is_set()):
                return None
            return f"the database does not respond: {in_words(error)}"

        _retry(attempt, passes, stop)

    def store(
        self,
        use: Callable[[], T],
        gives_up: Callable[[StorageAway], bool] = lambda _: False,
        stop: threading.Event | None = None,
    ) -> T:
        """Use the storage; retry while it does not respond or is full, until ``gives_up`` is true or ``stop`` is set.

        Raises what ``use`` raises, errors that would come again, and then StorageAway.
        """

        def attempt() -> T:
            with responding():
                return use()

        def passes(error: Exception) -> str | None:
            if not isinstance(error, StorageAway) or gives_up(error) or (stop is not None and stop.is_set()):
                return None
            return str(error)

        return _retry(attempt, passes, stop)

    @property
    def retries(self) -> RetryPolicy:
        """How often a run is tried, by the kind of its failure."""
        config = self.settings
        return RetryPolicy(
            config.max_attempts, config.memory_attempts, config.disk_attempts, config.retry_seconds
        )


def _retry(
    use: Callable[[], T], passes: Callable[[Exception], str | None], stop: threading.Event | None
) -> T:
    """Call ``use`` again after each error that passes, of which ``passes`` returns a sentence; raise the others.

    The pause between two calls doubles, and ends once ``stop`` is set.
    """
    pause = SHORTEST_PAUSE
    while True:
        try:
            return use()
        except Exception as error:
            sentence = passes(error)
            if sentence is None:
                raise
            log.warning("%s; retrying in %.1f s", sentence, pause)
        if stop is None:
            time.sleep(pause)
        else:
            stop.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


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


def require_schema(context: Context, stop: threading.Event) -> None:
    """Wait until the database responds, then end this process with a message unless its tables fit this version."""
    while not stop.is_set():
        try:
            with context.sessions() as db:
                problem = schema_problem(db.connection())
        except SQLAlchemyError as error:
            if not is_transient(error):
                raise
            log.warning("the database does not respond; retrying: %s", in_words(error))
            stop.wait(1)
            continue
        if problem is not None:
            sys.exit(f"{problem}.")
        return
