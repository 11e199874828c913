"""Operations on the health of the server, its workers and queues."""

from __future__ import annotations

from ..operation import get, operation
from ..schemas.wire import Health
from ..schemas.workers import QueueView, WorkerView


class WorkerOperations:
    """Check the health of the server, its workers and queues."""

    @operation("GET", "/health", raise_for_status=False)
    def health(self) -> Health:
        """Return the state of each part in words. Never raises ApiError."""

    @operation("GET", "/ready", raise_for_status=False)
    def ready(self) -> Health:
        """Return the state of each part that a run needs. Never raises ApiError."""

    @get("/live")
    def live(self) -> None:
        """Return if the API's process works."""

    @get("/workers")
    def workers(self) -> list[WorkerView]:
        """Return the workers with their queues, device and last heartbeat."""

    @get("/queues")
    def queues(self) -> list[QueueView]:
        """Return the queues with their queued and running runs, and the number of live workers."""
