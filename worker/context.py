"""What every process of the worker room shares: settings, database, storage."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache

from backend.settings import Settings, settings
from backend.store.database import Sessions, connect, session_factory
from backend.store.storage import Storage


@dataclass(frozen=True)
class Context:
    settings: Settings
    sessions: Sessions
    storage: Storage
    name: str

    def state_storage(self, run_id: object) -> Storage:
        """Where a run's state to resume from lies: apart, so that what is outdated can be deleted."""
        return Storage(f"{self.settings.storage_url.rstrip('/')}/checkpoints/{run_id}")


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
