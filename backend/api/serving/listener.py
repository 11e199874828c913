"""Who waits for an answer is woken when a worker has written it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg

from backend.store.database import plain_url
from backend.store.serving.predictions import ANSWERED

log = logging.getLogger("vise.answered")
PAUSE = 1.0
"""Seconds before a lost connection is made anew; who waits meanwhile looks from time to time."""


class Answered:
    """One connection that listens for all questions that this process has asked.

    A notification may be lost with the connection: whoever waits must look as well, now and then.
    """

    def __init__(self) -> None:
        # With its loop each, as a server may run in another thread than the listener.
        self._waiting: defaultdict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(
            set
        )

    @contextmanager
    def awaited(self, asked: object) -> Iterator[asyncio.Event]:
        """The event that is set when the question with this id was answered while somebody waits here."""
        waiter = asyncio.get_running_loop(), asyncio.Event()
        self._waiting[str(asked)].add(waiter)
        try:
            yield waiter[1]
        finally:
            self._waiting[str(asked)].discard(waiter)
            if not self._waiting[str(asked)]:
                del self._waiting[str(asked)]

    @asynccontextmanager
    async def listening(self, url: str) -> AsyncIterator[None]:
        """Listen at this database as long as the block runs."""
        task = asyncio.create_task(self._listen(plain_url(url)))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _listen(self, url: str) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {ANSWERED}")
                    async for notice in connection.notifies():
                        for loop, event in list(self._waiting.get(notice.payload, ())):
                            loop.call_soon_threadsafe(event.set)
            except psycopg.Error as error:
                log.warning("the database does not answer, listening again soon: %s", error)
                await asyncio.sleep(PAUSE)
