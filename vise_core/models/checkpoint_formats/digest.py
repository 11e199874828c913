"""Identify published files by their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from vise_core.errors import BadCheckpoint

from .format import Format, KnownFile


class Digests(NamedTuple):
    """SHA-256 and MD5 of a file, in hex. MD5 does not protect against forgery; MoCo's authors publish only MD5."""

    sha256: str
    md5: str


class Identity(NamedTuple):
    """The published file that a file matches by digest (``verified``) or by name only, if any."""

    file: KnownFile | None
    verified: bool


def digests(path: Path) -> Digests:
    """Compute SHA-256 and MD5 in one pass over the file."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(2**20):
            sha256.update(piece)
            md5.update(piece)
    return Digests(sha256.hexdigest(), md5.hexdigest())


def identify(layout: Format, path: Path, file_digests: Digests) -> Identity:
    """Return the published file that a file matches. Raises BadCheckpoint for another file of the same name."""
    for known in layout.files:
        if (known.sha256 and file_digests.sha256.startswith(known.sha256)) or (
            known.md5 and file_digests.md5.startswith(known.md5)
        ):
            return Identity(known, True)
    for known in layout.files:
        if known.name != path.name:
            continue
        if known.sha256 or known.md5:
            kind, mine, published = (
                ("SHA-256", file_digests.sha256, known.sha256)
                if known.sha256
                else ("MD5", file_digests.md5, known.md5)
            )
            raise BadCheckpoint(
                f"it is named like the published file, but its {kind} is {mine}, not {published}…: fetch it again"
                f"{' from ' + known.url if known.url else ''}, or rename it if it is meant to be another"
            )
        return Identity(known, False)
    return Identity(None, False)
