"""Downloads against a real HTTP server: whole, resumed, corrupted, refused, unreachable."""

import errno
import hashlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vise_core.errors import Stopped
from vise_core.files.download import KEPT_FREE, DownloadFailed, by_hand, download

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class FileServer:
    """Serves CONTENT, as misbehaved as a test asks for."""

    url: str = ""
    content: bytes = CONTENT
    status: int = 200
    breaks_after: int | None = None
    ranges: bool = True
    has_length: bool = True
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[FileServer]:
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = state.content[start:] if state.status == 200 else b""
            self.send_response(206 if start else state.status)
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}"
                )
            if state.has_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.breaks_after])
            self.close_connection = state.breaks_after is not None or not state.has_length

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}/models/w.pth"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_file_is_fetched_once_and_then_kept(server: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "w.pth"
    told: list[tuple[int, int | None]] = []
    assert download(server.url, target, sha256=SHA256, progress=lambda *at: told.append(at)) == SHA256
    assert target.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    download(server.url, target, sha256=SHA256)
    assert len(server.asked) == 1


def test_a_broken_download_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    target, part = tmp_path / "w.pth", tmp_path / "w.pth.part"
    server.breaks_after = 300_000
    with pytest.raises(DownloadFailed, match="Try again to continue from"):
        download(server.url, target, sha256=SHA256)
    have = part.stat().st_size
    assert 0 < have <= 300_000
    assert not target.exists()
    server.breaks_after = None
    download(server.url, target, sha256=SHA256)
    assert server.asked == [None, f"bytes={have}-"]
    assert target.read_bytes() == CONTENT
    assert not part.exists()


def test_a_server_without_ranges_starts_over(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes(CONTENT[:1000])
    server.ranges = False
    download(server.url, tmp_path / "w.pth", sha256=SHA256)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_a_part_that_is_whole_already_needs_no_byte_more(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "w.pth", sha256=SHA256)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_corrupted_file_is_thrown_away(server: FileServer, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"\0"
    target = tmp_path / "w.pth"
    with pytest.raises(DownloadFailed, match=f"SHA-256 .* expected {SHA256}; the file was deleted"):
        download(server.url, target, sha256=SHA256)
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth.lock"]
    server.content = CONTENT
    download(server.url, target, sha256=SHA256)
    assert (target).read_bytes() == CONTENT


def test_a_damaged_cache_is_reported_not_used(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"damaged")
    with pytest.raises(DownloadFailed, match="delete the file"):
        download(server.url, tmp_path / "w.pth", sha256=SHA256)
    assert server.asked == []


def test_a_missing_file_is_a_clear_error(server: FileServer, tmp_path: Path) -> None:
    server.status = 404
    target = tmp_path / "w.pth"
    with pytest.raises(DownloadFailed, match=r"responded with 404.*put it at .*w\.pth"):
        download(server.url, target, sha256=SHA256, advice=by_hand(server.url, SHA256, target))


def test_without_a_network_the_error_says_where_to_put_the_file(server: FileServer, tmp_path: Path) -> None:
    # A port that was free a moment ago and where nothing listens.
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/w.pth"
    target = tmp_path / "w.pth"
    with pytest.raises(DownloadFailed) as caught:
        download(url, target, sha256=SHA256, advice=by_hand(url, SHA256, target))
    message = str(caught.value)
    assert f"put it at {target}" in message
    assert SHA256 in message


def test_processes_and_threads_that_want_the_same_file_fetch_it_once(
    server: FileServer, tmp_path: Path
) -> None:
    target = tmp_path / "w.pth"
    threads = [
        threading.Thread(target=download, args=(server.url, target), kwargs={"sha256": SHA256})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_a_file_without_a_digest_is_fetched_anew_each_time(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes(b"of another file")
    for _ in range(2):
        assert download(server.url, tmp_path / "w.pth", sha256=None) == SHA256
    assert server.asked == [None, None]


def test_a_stopped_download_goes_on_when_its_digest_is_known(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        download(server.url, tmp_path / "w.pth", sha256=SHA256, should_stop=lambda: True)
    have = (tmp_path / "w.pth.part").stat().st_size
    assert 0 < have < len(CONTENT)
    assert download(server.url, tmp_path / "w.pth", sha256=SHA256) == SHA256
    assert server.asked == [None, f"bytes={have}-"]


@pytest.mark.parametrize("length", [True, False])
def test_a_download_leaves_room_on_the_disk(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: bool
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        "vise_core.files.download.shutil.disk_usage",
        lambda _: usage._replace(free=KEPT_FREE + len(CONTENT) - 1),
    )
    server.has_length = length
    with pytest.raises(DownloadFailed, match=r"the disk of .* has room for [0-9,]+ more bytes") as caught:
        download(server.url, tmp_path / "file", sha256=None)
    # A worker tells by it that the run may go on elsewhere.
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    monkeypatch.undo()
    assert download(server.url, tmp_path / "file", sha256=None) == SHA256
