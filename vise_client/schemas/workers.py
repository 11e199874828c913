"""Workers and queues."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from .wire import Wire


class WorkerView(Wire):
    name: str
    queues: list[str]
    device: str
    heartbeat_at: datetime
    run_id: UUID | None
    alive: bool
    started_at: datetime | None = None
    run_name: str | None = None


class QueueView(Wire):
    """A line of runs, and who serves it."""

    name: str
    waiting: int = Field(description="Runs in line.")
    oldest_at: datetime | None = Field(description="Since when the first of them waits.")
    running: int
    workers: int = Field(description="Workers that serve it and whose heartbeat is fresh.")
