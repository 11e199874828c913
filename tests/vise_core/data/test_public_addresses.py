"""Addresses inside the network are not asked, whatever way they are written or reached."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vise_core.data.public_addresses import (
    RefusedAddress,
    allowed_networks,
    checked_request,
    public_connect,
)
from vise_core.errors import Stopped
from vise_core.files.download import DownloadFailed, download

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LOOPBACK = allowed_networks("127.0.0.0/8")


@pytest.fixture
def server() -> Iterator[str]:
    """Serves CONTENT, a redirect to it, and one to an address inside the network."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            to = {
                "/again": "/file",
                "/inside": "http://169.254.169.254/secret",
                "/round": "/round",
                "/strange": "http://[",
            }.get(self.path)
            if self.path == "/nowhere":
                self.send_response(302)
                self.end_headers()
                return
            if to is not None:
                self.send_response(302)
                self.send_header("Location", to)
                self.end_headers()
                return
            self.send_response(200 if self.path in ("/file", "/endless") else 404)
            if self.path == "/file":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join()


def get(url: str, target: Path, **changes) -> str:
    options = {"sha256": None, "max_bytes": 10**6, "connect": public_connect(LOOPBACK)}
    return download(url, target, **(options | changes))


def test_a_file_comes_whole_with_its_hash_also_over_a_redirect(server: str, tmp_path: Path) -> None:
    for path in ("/file", "/again"):
        assert get(server + path, tmp_path / "f", sha256=SHA256) == SHA256
        assert (tmp_path / "f").read_bytes() == CONTENT
        (tmp_path / "f").unlink()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://10.1.2.3/x",
        "https://192.168.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/x",
        "https://0.0.0.0/x",
        "https://[fd00::1]/x",
        "https://224.0.0.1/x",
        "https://192.0.0.8/x",
        "https://[fec0::1]/x",
        "https://[3fff::1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[5f00::1]/x",
        "https://[",
    ],
)
def test_addresses_that_are_not_public_are_refused(url: str) -> None:
    with pytest.raises((RefusedAddress, DownloadFailed)):
        checked_request(url, [])


@pytest.mark.parametrize(
    "url", ["http://8.8.8.8/x", "ftp://8.8.8.8/x", "file:///etc/passwd", "https:///x", "gopher://8.8.8.8"]
)
def test_only_https_is_spoken_with_the_world(url: str) -> None:
    with pytest.raises(RefusedAddress):
        checked_request(url, [])


@pytest.mark.parametrize(
    ("answer", "shown"), [("93.184.216.34", "93.184.216.34"), ("2606:4700::1111", "[2606:4700::1111]")]
)
def test_the_connection_goes_to_the_checked_address_under_the_names_certificate(
    monkeypatch: pytest.MonkeyPatch, answer: str, shown: str
) -> None:
    """Whatever the name's server answers the next time: it may name a host inside the network then."""
    family = socket.AF_INET6 if ":" in answer else socket.AF_INET
    answers = [[(family, socket.SOCK_STREAM, 6, "", (answer, 8443))]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.pop())
    address, headers, extensions = checked_request("https://files.example.org:8443/a/b?c=d", [])
    assert str(address) == f"https://{shown}:8443/a/b?c=d"
    assert headers["Host"] == "files.example.org:8443"
    assert extensions == {"sni_hostname": "files.example.org"}


def test_each_address_of_a_name_must_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(RefusedAddress, match=r"10\.0\.0\.1, which is not a public address"):
        checked_request("https://files.example.org/a", [])


def test_a_redirect_into_the_network_is_refused_too(server: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedAddress, match=r"169\.254"):
        get(server + "/inside", tmp_path / "f")
    with pytest.raises(DownloadFailed, match="redirects"):
        get(server + "/round", tmp_path / "f")


def test_a_redirect_to_nowhere_is_a_failed_download(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="does not say where to"):
        get(server + "/nowhere", tmp_path / "f")
    with pytest.raises(DownloadFailed, match="is no address"):
        get(server + "/strange", tmp_path / "f")


def test_another_file_a_large_one_and_none_are_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="expected 0000"):
        get(server + "/file", tmp_path / "f", sha256="0" * 64)
    assert not (tmp_path / "f").exists()
    with pytest.raises(DownloadFailed, match="at most 1,000"):
        get(server + "/file", tmp_path / "f", max_bytes=1000)
    with pytest.raises(DownloadFailed, match="more than the 1,000"):
        get(server + "/endless", tmp_path / "f", max_bytes=1000)
    with pytest.raises(DownloadFailed, match="404"):
        get(server + "/nothing", tmp_path / "f")


def test_a_stop_is_heeded(server: str, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        get(server + "/file", tmp_path / "f", should_stop=lambda: True)


def test_the_setting_names_networks() -> None:
    assert [str(n) for n in allowed_networks("10.0.0.0/8, ::1/128")] == ["10.0.0.0/8", "::1/128"]
    assert allowed_networks("") == []
    with pytest.raises(RefusedAddress, match="no network"):
        allowed_networks("everything")
