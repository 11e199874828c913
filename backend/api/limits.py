"""Middleware for the size of request bodies and for response headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestLimits:
    """Middleware that refuses bodies over ``max_body`` bytes, and adds a request id and security headers.

    ``larger`` maps paths to a higher limit in bytes.
    """

    def __init__(self, app: ASGIApp, max_body: int, larger: Mapping[str, int] | None = None) -> None:
        self.app, self.max_body, self.larger = app, max_body, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0
        limit = self.larger.get(scope["path"], self.max_body)

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
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

        length = dict(scope["headers"]).get(b"content-length", b"0")
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
