"""Wakes requests that wait for a prediction as soon as a worker has finished it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg

from backend.store.database import LIMITS, listen_async
from backend.store.serving.predictions import DONE_CHANNEL

log = logging.getLogger("vise.listener")
RECONNECT_SECONDS = 1.0
"""Pause before a lost connection is opened again; waiting requests poll meanwhile."""
PING_SECONDS = 5.0
"""Time between two checks of the connection."""


class PredictionListener:
    """One connection that listens for the ids of finished predictions, for all requests of this process.

    A notification may be lost with the connection: a request that waits must also poll.
    """

    def __init__(self) -> None:
        # Each event with its loop, as a server may run in another thread than the listener.
        self._waiting: defaultdict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(
            set
        )

    @contextmanager
    def wait_for(self, prediction_id: object) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the prediction is finished while the block runs."""
        waiter = asyncio.get_running_loop(), asyncio.Event()
        self._waiting[str(prediction_id)].add(waiter)
        try:
            yield waiter[1]
        finally:
            self._waiting[str(prediction_id)].discard(waiter)
            if not self._waiting[str(prediction_id)]:
                del self._waiting[str(prediction_id)]

    @asynccontextmanager
    async def listen(self, url: str) -> AsyncIterator[None]:
        """Listen to the database at this URL as long as the block runs."""
        task = asyncio.create_task(self._listen(url))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _listen(self, url: str) -> None:
        while True:
            try:
                async with await listen_async(url, DONE_CHANNEL) as connection:
                    while True:
                        async for notice in connection.notifies(timeout=PING_SECONDS):
                            for loop, event in list(self._waiting.get(notice.payload, ())):
                                loop.call_soon_threadsafe(event.set)
                        # Fails if the connection was cut in silence.
                        await asyncio.wait_for(connection.execute("SELECT 1"), LIMITS.ping)
            except (psycopg.Error, TimeoutError) as error:
                log.warning("lost the connection to the database, reconnecting: %s", error)
                await asyncio.sleep(RECONNECT_SECONDS)
