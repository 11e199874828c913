"""What the pages' server sends to browsers, and which of their requests it refuses."""

import re
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from types import SimpleNamespace
from typing import ClassVar, Self
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit.runtime import Runtime

from frontend import serve, settings
from frontend.protection import LONGEST_FORM, Protection
from frontend.serve import create_app
from tests.serving import serving
from vise_client.bodies import Pace
from vise_client.client import ViseClient
from vise_client.errors import NotSignedIn
from vise_client.schemas.accounts import LoginCode
from vise_client.schemas.wire import Problem

ADDRESS = "http://127.0.0.1:9000"
PATHS = (
    "/",
    "/runs",
    "/_stcore/health",
    "/_stcore/host-config",
    "/static/js/none.js",
    "/auth/login",
    "/nowhere/else",
)


@pytest.fixture(scope="module")
def pages() -> Iterator[TestClient]:
    """The server of the pages, without an API; Streamlit has one runtime in a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(".")  # The app changes the folder.
        patch.setenv("VISE_PUBLIC_URL", ADDRESS)
        patch.setenv("VISE_API_URL", "http://127.0.0.1:9")
        patch.setattr(Runtime, "_instance", None)
        with TestClient(create_app(), base_url=ADDRESS, follow_redirects=False) as client:
            yield client


@pytest.mark.parametrize("path", PATHS)
def test_every_response_has_the_headers(pages: TestClient, path: str) -> None:
    headers = pages.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert not re.search(r"https?:|\*", headers["content-security-policy"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/auth/password", "/auth/logout", "/_stcore/upload_file/a/b"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9001", "null"])
def test_requests_that_change_something_are_refused_from_other_origins(
    pages: TestClient, path: str, origin: str
) -> None:
    assert pages.post(path, headers={"Origin": origin}).status_code == 403


def test_the_pages_own_forms_are_accepted(pages: TestClient) -> None:
    for headers in ({"Origin": ADDRESS}, {}):
        answer = pages.post("/auth/logout", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_link_signs_nobody_out(pages: TestClient) -> None:
    """Streamlit answers here for its own login, which is not in use."""
    answer = pages.get("/auth/logout", headers={"Cookie": f"{settings.session_cookie()}=token"})
    assert settings.session_cookie() not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9001", "http://localhost:9000", "https://evil.example"])
def test_web_sockets_are_refused_from_other_origins(pages: TestClient, origin: str) -> None:
    """Another port of the same host too: browsers send it the same cookies."""
    with (
        pytest.raises(WebSocketDisconnect),
        pages.websocket_connect("/_stcore/stream", headers={"Origin": origin}),
    ):
        pass


def test_the_pages_own_web_socket_is_accepted(pages: TestClient) -> None:
    with pages.websocket_connect("/_stcore/stream", headers={"Origin": ADDRESS}):
        pass


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://127.0.0.1:8501", "vise_session_8501"),
        ("http://127.0.0.1:8601", "vise_session_8601"),
        ("https://vise.example.org", "__Host-vise_session_443"),
    ],
)
def test_the_cookie_is_named_after_the_port(monkeypatch: pytest.MonkeyPatch, address: str, name: str) -> None:
    monkeypatch.setenv("VISE_PUBLIC_URL", address)
    assert settings.session_cookie() == name
    assert settings.secure_cookies() is address.startswith("https")


def test_without_a_public_address_the_cookie_has_the_port_that_the_server_listens_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VISE_PUBLIC_URL", raising=False)
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "8765")
    assert settings.session_cookie() == "vise_session_8765"


def test_the_api_is_told_the_address_of_the_browser_and_not_what_the_browser_claims(
    pages: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def client(url: str, **options: str):
        made.append(options)
        return ViseClient(url, **options)

    monkeypatch.setattr(serve, "ViseClient", client)
    pages.post(
        "/auth/password", data={"email": "a@b", "password": "x"}, headers={"X-Forwarded-For": "1.1.1.1"}
    )
    assert made == [{"forwarded_for": "testclient"}]


class Api:
    """An API that knows one session and one code, and notes what it is asked."""

    asked: ClassVar[list[str]] = []

    def __init__(self, url: str, token: str = "", **options: object) -> None:
        self.token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def redeem_code(self, body: LoginCode) -> SimpleNamespace:
        self.asked.append(body.code)
        return SimpleNamespace(token="secret")

    def me(self) -> None:
        self.asked.append(self.token)
        if self.token != "valid":
            raise NotSignedIn(Problem(title="Not signed in", status=401, detail=""))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(serve, "ViseClient", Api)
    monkeypatch.setattr(Api, "asked", [])
    return Api.asked


def test_to_look_at_a_link_leaves_it_valid_and_to_post_its_code_signs_in(
    pages: TestClient, asked: list[str]
) -> None:
    """Scanners of mails look at every link."""
    for method in ("GET", "HEAD"):
        page = pages.request(method, "/auth/login?code=abc")
        assert (page.status_code, "set-cookie" in page.headers, asked) == (200, False, [])
        assert page.headers["cache-control"] == "no-store"
    answer = pages.post("/auth/login", data={"code": "abc"}, headers={"Origin": ADDRESS})
    assert (answer.status_code, answer.headers["location"], asked) == (303, "/", ["abc"])
    assert answer.headers["set-cookie"].startswith(f"{settings.session_cookie()}=secret; HttpOnly")
    foreign = pages.post("/auth/login", data={"code": "abc"}, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, asked) == (403, ["abc"])


@pytest.mark.parametrize(("site", "by_itself"), [("none", True), ("cross-site", False), (None, False)])
def test_a_link_signs_in_by_itself_only_where_no_other_site_led_to_it(
    pages: TestClient, site: str | None, by_itself: bool
) -> None:
    """Else a stranger's link would sign a browser in as the stranger."""
    headers = {"Sec-Fetch-Site": site} if site else {}
    page = pages.get('/auth/login?code="><script>alert(1)</script>', headers=headers)
    scripts = re.findall("<script>(.*?)</script>", page.text)
    assert len(scripts) == by_itself
    for script in scripts:
        digest = b64encode(sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("token", "passed", "known"), [("", False, []), ("stolen", False, ["stolen"]), ("valid", True, ["valid"])]
)
def test_files_are_taken_from_users_only(
    pages: TestClient, asked: list[str], token: str, passed: bool, known: list[str]
) -> None:
    """An open web socket, which needs no sign-in, is enough for Streamlit."""
    answer = pages.put(
        "/_stcore/upload_file/a/b",
        files={"file": ("x", b"x")},
        headers={"Cookie": f"{settings.session_cookie()}={token}"},
    )
    # Streamlit then misses its own token, against requests of other origins.
    assert (answer.status_code, "Sign in" not in answer.text, asked) == (403, passed, known)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("path", ["/auth/password", "/auth/login"])
def test_forms_are_small(pages: TestClient, asked: list[str], path: str) -> None:
    large = "a" * (LONGEST_FORM + 1)
    assert pages.post(path, data={"code": large}).status_code == 413
    assert pages.post(path, content=iter([large.encode()]), headers=FORM).status_code == 413
    files: dict[str, tuple[None, str]] = {f"field{number}": (None, "a") for number in range(11)}
    assert pages.post(path, files=files).status_code == 400
    assert pages.post(path, files={"code": (None, "a" * (LONGEST_FORM // 2))}).status_code == 400
    assert pages.post(path, files={"code": ("file", "a")}).status_code == 400
    assert asked == []


def test_a_body_that_stalls_is_given_up_and_its_connection_closed() -> None:
    async def read(request: Request) -> Response:
        await request.body()
        return Response()

    async def nobody(request: Request) -> bool:
        return False

    app = Starlette(routes=[Route("/", read, methods=["POST"])])
    protected = Protection(app, ADDRESS, nobody, Pace(stalled_seconds=0.1))
    with (
        serving(protected, timeout_keep_alive=300) as address,
        socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), timeout=30) as client,
    ):
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na")
        received = b"".join(iter(lambda: client.recv(2**16), b""))
    assert received.startswith(b"HTTP/1.1 408")


def test_pandas_is_loaded_before_the_first_page() -> None:
    """Plotly fails with a pandas that another page's thread has loaded in part."""
    code = "import sys; from frontend.serve import create_app; create_app(); sys.exit('pandas' not in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
