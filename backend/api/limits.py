"""Middleware for the size and the pace of request bodies, and for response headers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_JSON = 8 * 2**20
"""Bytes of a JSON body: it is held and checked in memory as objects many times as large."""


class RequestLimits:
    """Middleware that refuses bodies over ``max_body`` bytes, and adds a request id and security headers.

    ``larger`` maps paths to a higher limit in bytes. A body is given up of which nothing arrives for ``stalled_seconds``,
    or which has not arrived after ``total_seconds`` and as long as what has arrived takes at ``slowest`` bytes a second.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body: int,
        stalled_seconds: float,
        total_seconds: float,
        slowest: float,
        larger: Mapping[str, int] | None = None,
    ) -> None:
        self.app, self.max_body, self.larger = app, max_body, larger or {}
        self.stalled_seconds, self.total_seconds, self.slowest = stalled_seconds, total_seconds, slowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received, complete, began = 0, False, time.monotonic()
        headers = dict(scope["headers"])
        limit = self.larger.get(scope["path"], self.max_body)
        if b"json" in headers.get(b"content-type", b""):
            limit = min(limit, LONGEST_JSON)

        async def receive_limited() -> Message:
            nonlocal received, complete
            # After the body a route may wait for the client to leave, for as long as it likes.
            left = began + self.total_seconds + received / self.slowest - time.monotonic()
            try:
                async with asyncio.timeout(None if complete else min(self.stalled_seconds, left)):
                    message = await receive()
            except TimeoutError:
                stalled = f"no part of the body arrived for {self.stalled_seconds:g} s"
                slow = (
                    f"the body arrives too slowly: {received:,} bytes in {time.monotonic() - began:.3g} s; after "
                    f"{self.total_seconds:g} s at least {self.slowest:,g} bytes a second are needed"
                )
                raise HTTPException(408, slow if left < self.stalled_seconds else stalled) from None
            complete = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _too_large(limit))
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = uuid4().hex
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Frame-Options"] = "DENY"
            await send(message)

        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            await self._refuse(scope["path"], limit, send_with_headers)
        else:
            await self.app(scope, receive_limited, send_with_headers)

    async def _refuse(self, path: str, limit: int, send: Send) -> None:
        problem = {
            "type": "about:blank",
            "title": "Too large",
            "status": 413,
            "detail": _too_large(limit),
            "instance": path,
        }
        headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(problem | {"errors": []}).encode()})


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit // 2**20} MiB; send a smaller one"
