"""ASGI middleware: the security headers of the pages, and the requests that are refused."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


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
    same cookies. Programs send no origin.
    """

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
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

        app = self._app
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and self._is_foreign(scope):
            app = PlainTextResponse("This request comes from a page of another origin.", 403)
        await app(scope, receive, send_protected)

    def _is_foreign(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        return origin is not None and urlsplit(origin).netloc not in (self._own, headers.get("host"))


def _inline_scripts() -> list[str]:
    """Return the hashes of the scripts that stand in the text of a page: Streamlit's own, and ours."""
    index = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    scripts = re.findall(r"<script>(.*?)</script>", index, re.DOTALL)
    scripts.append((Path(__file__).parent / "frame.js").read_text())
    return [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
