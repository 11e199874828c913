"""What the pages' server sends to browsers, and which of their requests it refuses."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit.runtime import Runtime

from frontend import serve, settings
from frontend.serve import create_app
from vise_client.client import ViseClient

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


def test_pandas_is_loaded_before_the_first_page() -> None:
    """Plotly fails with a pandas that another page's thread has loaded in part."""
    code = "import sys; from frontend.serve import create_app; create_app(); sys.exit('pandas' not in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
