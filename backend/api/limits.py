"""Limits on every request, and headers on every answer."""

from __future__ import annotations

import json
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestLimits:
    """Refuses bodies over ``max_body`` bytes before they are read whole; names each request; safe headers."""

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app, self.max_body = app, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                raise HTTPException(413, self._sentence())
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
        if length.isdigit() and int(length) > self.max_body:
            await self._refuse(scope["path"], headed)
        else:
            await self.app(scope, limited, headed)

    def _sentence(self) -> str:
        return f"the body is larger than {self.max_body // 2**20} MiB; send less"

    async def _refuse(self, path: str, send: Send) -> None:
        detail = self._sentence()
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
