"""Bodies that stall or are too large, and exceptions by kind."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.api import errors
from backend.api.app import PREFIX
from backend.api.limits import LONGEST_JSON, RequestLimits
from vise_core.errors import BadInput


def echoing(stalled_seconds: float, total_seconds: float) -> FastAPI:
    """An API of one route that reads the body and returns its size; a body needs 100 bytes a second."""
    app = FastAPI()
    errors.install(app)
    app.add_middleware(
        RequestLimits,
        max_body=2 * LONGEST_JSON,
        stalled_seconds=stalled_seconds,
        total_seconds=total_seconds,
        slowest=100,
    )

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    return app


@pytest.fixture
def echo() -> FastAPI:
    return echoing(stalled_seconds=0.05, total_seconds=60)


def post(app: FastAPI, *messages: dict[str, Any], pause: float = 0) -> tuple[int, bytes]:
    """Send these parts of a body, after which nothing comes; return status and body of the response.

    ``pause``: seconds before each part.
    """
    sent: list[dict[str, Any]] = []
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        await asyncio.sleep(pause)
        return {"type": "http.request", **waiting.pop(0)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/size",
        "raw_path": b"/size",
        "query_string": b"",
        "headers": [],
    }
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_an_upload_that_stalls_is_given_up(echo: FastAPI) -> None:
    assert post(echo, {"body": b"ab", "more_body": True}, {"body": b"c"}) == (200, b"3")
    status, body = post(echo, {"body": b"ab", "more_body": True})
    assert status == 408
    assert b"0.05 s" in body


def test_an_upload_that_drips_is_given_up() -> None:
    app = echoing(stalled_seconds=60, total_seconds=0.1)
    drips = [{"body": b"a", "more_body": True}] * 1000  # at most 50 bytes a second
    status, body = post(app, *drips, pause=0.02)
    assert status == 408
    assert b"too slowly" in body
    # As many parts at the same pace may take the time that their bytes take.
    parts = [{"body": b"a" * 1000, "more_body": True}] * 10
    assert post(app, *parts, {"body": b""}, pause=0.02) == (200, b"10000")


def test_a_json_body_has_a_limit_of_its_own(echo: FastAPI) -> None:
    with TestClient(echo) as client:
        body = b"[" + b" " * LONGEST_JSON + b"]"
        assert client.post("/size", content=body).json() == len(body)
        json_body = client.post("/size", content=body, headers={"Content-Type": "application/json"})
        assert json_body.status_code == 413


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PoolTimeout("QueuePool limit of size 10 overflow 20 reached"), 503),
        (TimeoutError(), 503),
        (OperationalError("SELECT 1", {}, Exception("the server is gone")), 503),
        (InterfaceError("SELECT 1", {}, Exception("the connection is closed")), 503),
        (BadInput("table3 has nothing with the task 'x'"), 422),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), 422),
        (RuntimeError("a fault"), 500),
    ],
)
def test_an_exception_has_a_status_by_its_kind(echo: FastAPI, error: Exception, status: int) -> None:
    @echo.get("/fail")
    def fail() -> None:
        raise error

    with TestClient(echo, raise_server_exceptions=False) as client:
        response = client.get("/fail")
    assert response.status_code == status
    assert response.json()["status"] == status
    assert ("retry-after" in response.headers) == (status == 503)


def test_the_application_has_these_limits(api: TestClient) -> None:
    body = b'{"email": "' + b"a" * LONGEST_JSON + b'", "password": ""}'
    headers = {"Content-Type": "application/json"}
    assert api.post(f"{PREFIX}/auth/login", content=body, headers=headers).status_code in (413, 422)
