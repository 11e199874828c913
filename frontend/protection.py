"""ASGI middleware: the security headers of the pages, and the requests that are refused."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vise_client.bodies import BoundedBody, Pace

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SUBMIT = "document.forms[0].submit()"
"""The script that submits the form of a one-time link, where a browser opened it by itself."""
UPLOADS = "/upload_file/"
"""In the path of Streamlit's route for files, which it holds in memory."""
LONGEST_UPLOAD = 65 * 2**20
"""Bytes of an upload's body: a little more than a file may have (``maxUploadSize``)."""
LONGEST_FORM = 64 * 2**10
"""Bytes of any other body."""


def security_headers() -> dict[str, str]:
    """Return the headers of every response: the pages load nothing from elsewhere and stand in no frame.

    Streamlit sets styles in the text of a page, loads components from blobs, and draws images from data and blobs.
    """
    policy = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "blob:", *_inline_scripts()]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        # With no-referrer, browsers would send the origin of the login form as null.
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }


class Protection:
    """Adds the headers, and refuses web sockets and requests that change something from pages of other origins.

    A browser says which origin a page is of. Another port of the same host is another origin, though it is sent the
    same cookies. Programs send no origin. Files are taken from users only, for whom ``has_session`` returns True; bodies
    have a longest size and a slowest ``pace``.
    """

    def __init__(
        self,
        app: ASGIApp,
        public_url: str,
        has_session: Callable[[Request], Awaitable[bool]],
        pace: Pace | None = None,
    ) -> None:
        self._app, self._has_session, self._pace = app, has_session, pace or Pace()
        self._own = urlsplit(public_url).netloc
        self._headers = security_headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self._is_foreign(scope):
            await receive()
            await send(
                {"type": "websocket.close", "code": 1008, "reason": "opened by a page of another origin"}
            )
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send_protected)
            return
        uploads = UPLOADS in scope["path"]
        body = BoundedBody(
            scope["headers"],
            receive,
            send_protected,
            limit=LONGEST_UPLOAD if uploads else LONGEST_FORM,
            pace=self._pace,
            refusal=HTTPException,
        )
        app = self._app
        if body.too_large is not None:
            app = PlainTextResponse(body.too_large, 413)
        elif scope["method"] not in SAFE_METHODS and self._is_foreign(scope):
            app = PlainTextResponse("This request comes from a page of another origin.", 403)
        elif uploads and scope["method"] not in SAFE_METHODS and not await self._has_session(Request(scope)):
            app = PlainTextResponse("Sign in to upload files.", 403)
        await app(scope, body.receive, body.send)

    def _is_foreign(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        return origin is not None and urlsplit(origin).netloc not in (self._own, headers.get("host"))


def _inline_scripts() -> list[str]:
    """Return the hashes of the scripts that stand in the text of a page: Streamlit's own, and ours."""
    index = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    scripts = re.findall(r"<script>(.*?)</script>", index, re.DOTALL)
    scripts.append(SUBMIT)
    scripts.append((Path(__file__).parent / "frame.js").read_text())
    return [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
