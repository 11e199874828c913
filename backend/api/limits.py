"""Limits on every request, and headers on every answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestLimits:
    """Refuses bodies over ``max_body`` bytes before they are read whole; names each request; safe headers.

    ``larger``: paths that take more, and how much.
    """

    def __init__(self, app: ASGIApp, max_body: int, larger: Mapping[str, int] | None = None) -> None:
        self.app, self.max_body, self.larger = app, max_body, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0
        most = self.larger.get(scope["path"], self.max_body)

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413, _sentence(most))
            return message

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = uuid4().hex
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Frame-Options"] = "DENY"
            await send(message)

        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            await self._refuse(scope["path"], most, headed)
        else:
            await self.app(scope, limited, headed)

    async def _refuse(self, path: str, most: int, send: Send) -> None:
        detail = _sentence(most)
        problem = {
            "type": "about:blank",
            "title": "Too large",
            "status": 413,
            "detail": detail,
            "instance": path,
        }
        headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(problem | {"errors": []}).encode()})


def _sentence(most: int) -> str:
    return f"the body is larger than {most // 2**20} MiB; send less"
