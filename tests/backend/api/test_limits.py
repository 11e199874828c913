"""Bodies that stall or are too large, and exceptions by kind."""

import asyncio
import contextlib
import errno
import io
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import UploadFile

from backend.api import errors
from backend.api.app import PREFIX
from backend.api.limits import LONGEST_JSON, RequestLimits
from backend.api.registry import datasets
from tests.serving import serving
from vise_client.bodies import Pace
from vise_client.schemas.accounts import Role
from vise_core.errors import BadInput


def echoing(stalled_seconds: float, total_seconds: float) -> FastAPI:
    """An API of one route that reads the body and returns its size; a body needs 100 bytes a second."""
    app = FastAPI()
    errors.install(app)
    app.add_middleware(
        RequestLimits,
        max_body=2 * LONGEST_JSON,
        pace=Pace(stalled_seconds, total_seconds, slowest=100),
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


JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "multipart/form-data; boundary=x")


@pytest.mark.parametrize(
    "headers",
    [
        [JSON],
        [("Content-Type", "application/JSON")],
        [("Content-Type", "Application/vnd.x+Json")],
        [("Content-Type", "text/plain"), JSON],
        [JSON, FORM],
        [FORM, JSON],
        [],
    ],
)
def test_only_a_form_may_be_larger_than_json(echo: FastAPI, headers: list[tuple[str, str]]) -> None:
    body = b"[" + b" " * LONGEST_JSON + b"]"
    with TestClient(echo) as client:
        assert client.post("/size", content=body, headers=[FORM]).json() == len(body)
        assert client.post("/size", content=body, headers=headers).status_code == 413
        chunked = client.post("/size", content=iter([body]), headers=headers)
        assert chunked.status_code == 413


@pytest.mark.parametrize(
    ("path", "head", "status"),
    [
        ("/size", "Content-Length: 1000", 408),
        ("/size", "Transfer-Encoding: chunked", 408),
        ("/size", f"Content-Length: {3 * LONGEST_JSON}", 413),
        ("/none", "Content-Length: 1000", 404),
    ],
)
def test_a_response_before_the_end_of_the_body_closes_the_connection(
    echo: FastAPI, path: str, head: str, status: int
) -> None:
    """A client that drips would keep its socket for ever."""
    with serving(echo, timeout_keep_alive=300) as address, connected(address) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        if "chunked" in head:
            client.sendall(b"1\r\na\r\n")
        assert until_closed(client).startswith(f"HTTP/1.1 {status}".encode())


def test_a_body_that_grows_too_large_closes_the_connection(echo: FastAPI) -> None:
    with serving(echo, timeout_keep_alive=300) as address, connected(address) as client:
        client.sendall(b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%s\r\n" % (LONGEST_JSON + 1, b"a" * (LONGEST_JSON + 1))
        client.sendall(chunk)
        assert until_closed(client).startswith(b"HTTP/1.1 413")


def test_a_connection_stays_open_after_a_whole_body(echo: FastAPI) -> None:
    with serving(echo, timeout_keep_alive=300) as address, connected(address) as client:
        for _ in range(2):
            client.sendall(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
            assert client.recv(2**16).startswith(b"HTTP/1.1 200")


def connected(address: str) -> socket.socket:
    """A bare connection to a server."""
    port = urlsplit(address).port
    assert port is not None
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def until_closed(client: socket.socket) -> bytes:
    """All that the server sends until it closes the connection. Raises TimeoutError if it does not."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(2**16):
            received += part
    return received


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PoolTimeout("QueuePool limit of size 10 overflow 20 reached"), 503),
        (TimeoutError(), 503),
        (OperationalError("SELECT 1", {}, Exception("the server is gone")), 503),
        (InterfaceError("SELECT 1", {}, Exception("the connection is closed")), 503),
        (BadInput("table3 has nothing with the task 'x'"), 422),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), 422),
        (OSError(errno.ENOSPC, "No space left on device"), 503),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 503),
        (PermissionError(errno.EACCES, "Permission denied"), 500),
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


FULL = "the disk of the server is full; try again later"


def test_an_archive_for_which_there_is_no_room(
    api: TestClient, sessions: dict[Role, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = io.BufferedWriter(io.FileIO("/dev/full", "w"))
    monkeypatch.setattr(datasets.tempfile, "NamedTemporaryFile", lambda dir: full)
    api.headers["Authorization"] = f"Bearer {sessions[Role.admin]}"
    query = {"name": "a", "filename": "a.zip"}
    response = api.post(f"{PREFIX}/datasets/upload", params=query, content=b"PK\x03\x04" + b"\0" * 2**16)
    assert (response.status_code, response.json()["detail"]) == (503, FULL)


def test_an_image_for_which_there_is_no_room(editor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(self: UploadFile, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(UploadFile, "write", write)
    response = editor.post(f"{PREFIX}/predictions", files={"image": ("x", b"\xff\xd8\xff")})
    assert (response.status_code, response.json()["detail"]) == (503, FULL)


def test_the_application_has_these_limits(api: TestClient) -> None:
    body = b'{"email": "' + b"a" * LONGEST_JSON + b'", "password": ""}'
    headers = {"Content-Type": "application/json"}
    assert api.post(f"{PREFIX}/auth/login", content=body, headers=headers).status_code in (413, 422)
