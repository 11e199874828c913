"""Middleware for the size and the pace of request bodies, and for response headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vise_client.bodies import BoundedBody, Pace, header_values

LONGEST_JSON = 8 * 2**20
"""Bytes of a body that is no form: it is held and checked in memory as objects many times as large."""


class RequestLimits:
    """Middleware that refuses bodies over ``max_body`` bytes, and adds a request id and security headers.

    ``larger`` maps paths to a higher limit in bytes.
    """

    def __init__(
        self, app: ASGIApp, max_body: int, pace: Pace, larger: Mapping[str, int] | None = None
    ) -> None:
        self.app, self.max_body, self.pace, self.larger = app, max_body, pace, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = uuid4().hex
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Frame-Options"] = "DENY"
            await send(message)

        body = BoundedBody(
            scope["headers"],
            receive,
            send_with_headers,
            limit=self._limit(scope),
            pace=self.pace,
            refusal=HTTPException,
        )
        if body.too_large is not None:
            await _refuse(scope["path"], body.too_large, body.send)
        else:
            await self.app(scope, body.receive, body.send)

    def _limit(self, scope: Scope) -> int:
        if (limit := self.larger.get(scope["path"])) is not None:
            return limit
        kinds = header_values(scope["headers"], b"content-type")
        form = bool(kinds) and all(kind.startswith(b"multipart/form-data") for kind in kinds)
        return self.max_body if form else min(self.max_body, LONGEST_JSON)


async def _refuse(path: str, detail: str, send: Send) -> None:
    problem = {"type": "about:blank", "title": "Too large", "status": 413, "detail": detail, "instance": path}
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem | {"errors": []}).encode()})
