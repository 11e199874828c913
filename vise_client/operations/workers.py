"""Operations on the health of the server, its workers and queues."""

from __future__ import annotations

from ..operation import get, operation
from ..schemas.wire import Health
from ..schemas.workers import QueueView, WorkerView


class WorkerOperations:
    """See whether the server is healthy, and who runs what is queued."""

    @operation("GET", "/health", raise_for_status=False)
    def health(self) -> Health:
        """Return whether database and broker answer, and how many workers are alive; also where some do not."""

    @get("/workers")
    def workers(self) -> list[WorkerView]:
        """Return the workers with their queues, device and last heartbeat."""

    @get("/queues")
    def queues(self) -> list[QueueView]:
        """Return the queues with their queued and running runs, and the number of live workers."""
