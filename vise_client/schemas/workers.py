"""Workers and queues."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from .wire import ResponseBody


class WorkerView(ResponseBody):
    """A worker with its queues, device and last heartbeat."""

    name: str
    queues: list[str]
    device: str
    heartbeat_at: datetime
    run_id: UUID | None
    alive: bool
    hears: bool = Field(True, description="Messages through the broker reach it.")
    started_at: datetime | None = None
    run_name: str | None = None
    version: str = Field("", description="Version of its program.")
    revision: str = Field("", description="Revision of the tables that it knows.")
    differs: str | None = Field(
        None, description="How its program differs from the API's; None if it does not."
    )


class QueueView(ResponseBody):
    """A queue, its runs, and the workers that serve it."""

    name: str
    waiting: int = Field(description="Number of queued runs.")
    oldest_at: datetime | None = Field(description="When the run that waits longest was queued.")
    running: int
    workers: int = Field(description="Number of workers that serve the queue and have a recent heartbeat.")
