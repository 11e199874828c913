"""Download a file over HTTP: interrupted downloads resume, and files are checked by SHA-256."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from vise_core.errors import BadInput, Stopped

from .hashing import file_sha256

MAX_BYTES = 4 * 2**30
KEPT_FREE = 256 * 2**20
"""Bytes of the disk that a download leaves free for others."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far, and those in all or None."""
Connect = Callable[[str, Mapping[str, str]], AbstractContextManager[httpx.Response]]
"""(URL, headers) → the response to a GET request, as a context manager; redirects are followed."""


class DownloadFailed(BadInput):
    """A file could not be downloaded, is too large, or has another digest than expected."""


@contextmanager
def connect(url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
    """Send a GET request to a URL in the code; user-supplied URLs go through ``vise_core.data.public_addresses``."""
    with httpx.stream("GET", url, headers=dict(headers), follow_redirects=True, timeout=30) as response:
        yield response


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    max_bytes: int = MAX_BYTES,
    connect: Connect = connect,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    advice: str = "",
) -> str:
    """Download ``url`` to ``target``, unless it has this SHA-256 already. Returns the file's SHA-256.

    With ``sha256``, an interrupted download stays in ``<target>.part``, and the next call requests only the rest;
    without, every call starts over, since the file may have changed. Processes that need the same file wait for the one
    that downloads it. ``advice`` is added to each message. Raises DownloadFailed if the URL cannot be fetched, is
    larger than ``max_bytes`` or than the disk has room for, or has another SHA-256, and Stopped once ``should_stop`` returns True.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")):
        if sha256 is not None and target.is_file():
            if file_sha256(target) == sha256:
                return sha256
            raise DownloadFailed(f"{target}: SHA-256 is not {sha256}; delete the file to download it again")
        part = target.with_name(target.name + ".part")
        if sha256 is None:
            part.unlink(missing_ok=True)
        try:
            digest = _receive(url, part, max_bytes, connect, progress, should_stop)
        except httpx.HTTPStatusError as error:
            raise DownloadFailed(
                f"{url} responded with {error.response.status_code}. {advice}".rstrip()
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            have = part.stat().st_size if sha256 is not None and part.exists() else 0
            again = f" Try again to continue from {have:,} bytes." if have else ""
            raise DownloadFailed(
                f"{url} could not be fetched ({str(error) or type(error).__name__}).{again} {advice}".rstrip()
            ) from error
        if sha256 not in (None, digest):
            part.unlink()
            raise DownloadFailed(
                f"{url} gave a file with SHA-256 {digest}, expected {sha256}; the file was deleted. {advice}".rstrip()
            )
        part.replace(target)
        return digest


def by_hand(url: str, sha256: str, target: Path) -> str:
    """Return instructions to fetch a file without a network."""
    return f"Without a network, fetch {target.name} from {url} elsewhere and put it at {target} (SHA-256 {sha256})."


def _receive(
    url: str,
    part: Path,
    max_bytes: int,
    connect: Connect,
    progress: Progress | None,
    should_stop: Callable[[], bool] | None,
) -> str:
    """Complete ``part``, appending where the server supports ranges. Returns its SHA-256."""
    have = part.stat().st_size if part.exists() else 0
    # Archives and weights do not compress, and a range of a compressed body would not fit what is there.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with connect(url, headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            # All of it is there, or it is no part of this file: the digest will tell.
            return file_sha256(part)
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise httpx.RemoteProtocolError(f"requested bytes from {have}, received another range")
        done = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        if total is not None and total > max_bytes:
            raise DownloadFailed(f"the file has {total:,} bytes; at most {max_bytes:,} are fetched")
        # A part that is not resumed is overwritten.
        room = max(0, shutil.disk_usage(part.parent).free + (have - done) - KEPT_FREE)
        if total is not None and total - done > room:
            raise _no_room(f"the file has {total:,} bytes", part.parent, room)
        digest = hashlib.sha256()
        if resumed:
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
        with part.open("ab" if resumed else "wb") as file:
            # Pieces as they come: a fixed chunk size would hold back, and on a break lose, the last one.
            for chunk in response.iter_bytes():
                done += len(chunk)
                if done > max_bytes:
                    raise DownloadFailed(f"the file has more than the {max_bytes:,} bytes that are fetched")
                room -= len(chunk)
                if room < 0:
                    raise _no_room(f"it has more than {done:,} bytes", part.parent, 0)
                file.write(chunk)
                digest.update(chunk)
                if progress is not None:
                    progress(done, total)
                if should_stop is not None and should_stop():
                    raise Stopped("the download was stopped; it continues when the run is resumed")
    return digest.hexdigest()


def _no_room(what: str, folder: Path, room: int) -> DownloadFailed:
    """Return the error of a file that the disk has no room for; its cause says so, as that of a full disk does."""
    error = DownloadFailed(
        f"{what}; the disk of {folder} has room for {room:,} more bytes: free some, or use another disk"
    )
    error.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
