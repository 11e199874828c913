"""One file over HTTP, resumed where it broke off and never used before its hash is right."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from vise_core.errors import BadInput
from vise_core.files.hashing import file_sha256

MAX_BYTES = 4 * 2**30

Progress = Callable[[int, int | None], None]


class DownloadFailed(BadInput):
    """A file could not be had; the message says how to put it in place by hand."""


def download(url: str, sha256: str, target: Path, *, progress: Progress | None = None) -> Path:
    """Fetch ``url`` to ``target`` unless a file with the right hash is there already.

    What came before a broken connection stays in ``<target>.part`` and the next call asks for the rest
    only. ``progress`` is told (bytes so far, bytes in all or None). Processes that want the same file wait
    for the one that fetches it. Raises DownloadFailed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")):
        if target.is_file():
            if file_sha256(target) == sha256:
                return target
            raise DownloadFailed(
                f"{target}: SHA-256 is not {sha256}; delete the file, and it is fetched anew"
            )
        part = target.with_name(target.name + ".part")
        try:
            _receive(url, part, progress or _silent)
        except httpx.HTTPStatusError as error:
            raise DownloadFailed(
                f"{url} answered {error.response.status_code}. {by_hand(url, sha256, target)}"
            ) from error
        except httpx.HTTPError as error:
            raise DownloadFailed(
                f"{url} could not be fetched ({str(error) or type(error).__name__}). "
                f"Try again to go on from {part.stat().st_size if part.exists() else 0:,} bytes, or: "
                f"{by_hand(url, sha256, target)}"
            ) from error
        found = file_sha256(part)
        if found != sha256:
            part.unlink()
            raise DownloadFailed(
                f"{url} gave a file with SHA-256 {found}, expected {sha256}; it was thrown away. "
                f"{by_hand(url, sha256, target)}"
            )
        return part.replace(target)


def by_hand(url: str, sha256: str, target: Path) -> str:
    """What to do without a network."""
    return f"Without a network, fetch {target.name} from {url} elsewhere and put it at {target} (SHA-256 {sha256})."


def _receive(url: str, part: Path, progress: Progress) -> None:
    """Bring ``part`` to its full length, appending where the server allows it."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    # Weights do not compress, and a range of a compressed body would not fit what is there.
    headers["Accept-Encoding"] = "identity"
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            # All of it is there, or it is no part of this file: the hash will tell.
            return
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise httpx.RemoteProtocolError(f"asked for bytes from {have}, got another range")
        done = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdecimal() else None
        with part.open("ab" if resumed else "wb") as file:
            # Pieces as they come: a fixed chunk size would hold back, and on a break lose, the last one.
            for chunk in response.iter_bytes():
                done += len(chunk)
                if done > MAX_BYTES:
                    raise httpx.RemoteProtocolError(f"more than {MAX_BYTES:,} bytes")
                file.write(chunk)
                progress(done, total)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _silent(done: int, total: int | None) -> None:
    pass
