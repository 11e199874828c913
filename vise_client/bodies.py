"""Bounds on the size and the pace of a request's body, for the ASGI servers of the API and of the pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Pace:
    """A body is given up of which nothing arrives for ``stalled_seconds``, or which has not arrived after
    ``total_seconds`` and as long as what has arrived takes at ``slowest`` bytes a second.
    """

    stalled_seconds: float = 20
    total_seconds: float = 60
    slowest: float = 64 * 1024


class BoundedBody:
    """The ASGI channels of one request, whose body has at most ``limit`` bytes and arrives in time.

    ``receive`` raises ``refusal(status, detail)``: 413 for a body that is too large, 408 for one that is too slow. A
    response that begins before the body has arrived closes the connection: its rest would come for as long as the
    client likes.
    """

    def __init__(
        self,
        headers: Headers,
        receive: Receive,
        send: Send,
        *,
        limit: int,
        pace: Pace,
        refusal: Callable[[int, str], Exception],
    ) -> None:
        self._receive, self._send = receive, send
        self._limit, self._pace, self._refusal = limit, pace, refusal
        self._received, self._began = 0, time.monotonic()
        lengths = header_values(headers, b"content-length")
        self._complete = not header_values(headers, b"transfer-encoding") and not any(
            length.strip(b"0") for length in lengths
        )
        self.too_large: str | None = None
        """What is wrong with the length that the head names, before anything is read."""
        if any(length.isdigit() and int(length) > limit for length in lengths):
            self.too_large = self._too_large()

    async def receive(self) -> Message:
        """Return the next message; after the body a route may wait for the client to leave, for as long as it likes."""
        pace = self._pace
        left = self._began + pace.total_seconds + self._received / pace.slowest - time.monotonic()
        try:
            async with asyncio.timeout(None if self._complete else min(pace.stalled_seconds, left)):
                message = await self._receive()
        except TimeoutError:
            raise self._refusal(408, self._too_slow(left)) from None
        # A client that has left sends no more, either.
        self._complete = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            # The rest may be on its way.
            self._complete = False
            raise self._refusal(413, self._too_large())
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the response."""
        if message["type"] == "http.response.start" and not self._complete:
            kept = [(name, value) for name, value in message["headers"] if name.lower() != b"connection"]
            message["headers"] = [*kept, (b"connection", b"close")]
        await self._send(message)

    def _too_slow(self, left: float) -> str:
        pace = self._pace
        if left >= pace.stalled_seconds:
            return f"no part of the body arrived for {pace.stalled_seconds:g} s"
        return (
            f"the body arrives too slowly: {self._received:,} bytes in {time.monotonic() - self._began:.3g} s; after "
            f"{pace.total_seconds:g} s at least {pace.slowest:,g} bytes a second are needed"
        )

    def _too_large(self) -> str:
        size = f"{self._limit // 2**20} MiB" if self._limit >= 2**20 else f"{self._limit // 2**10} KiB"
        return f"the body is larger than {size}; send a smaller one"


def header_values(headers: Headers, name: bytes) -> list[bytes]:
    """Return all values of a header in lower case: a client may send it more than once."""
    return [value.lower() for key, value in headers if key.lower() == name]
