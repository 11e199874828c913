"""List a folder's files by path, size and times, to detect possible changes without reading the files.

A listing costs one ``stat`` per file; a manifest of digests reads every byte. A difference is only a hint: a file
that was copied again with the same content differs in the listing and has the same digest.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from . import hashing
from .names import printable_name

EXAMPLES = 5
"""Paths that a difference names."""


class Difference(NamedTuple):
    """The number of files of a folder that differ from an older listing, and the first of them."""

    added: int
    changed: int
    removed: int
    first: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.changed or self.removed)


def list_folder(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    """Return (path, kind, size and times) of all entries that the folder's digest depends on.

    Raises OSError if the folder cannot be listed.
    """
    for entry in hashing.entries(folder):
        yield os.fsencode(entry.path), _mark(entry)


def pack(rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Compress the rows of ``list_folder``."""
    # No path holds a zero byte.
    return zlib.compress(b"\0".join(part for row in sorted(rows) for part in row), 6)


def unpack(packed: bytes) -> dict[bytes, bytes]:
    """Return {path: mark} of packed rows."""
    parts = zlib.decompress(packed).split(b"\0")
    return dict(zip(parts[::2], parts[1::2], strict=True)) if len(parts) > 1 else {}


def compare(before: dict[bytes, bytes], rows: Iterable[tuple[bytes, bytes]]) -> Difference:
    """Return the difference between the rows ``before`` and ``rows``."""
    left = dict(before)
    added = changed = 0
    first: list[bytes] = []
    for path, mark in rows:
        known = left.pop(path, None)
        if known == mark:
            continue
        added += known is None
        changed += known is not None
        if len(first) < EXAMPLES:
            first.append(path)
    first += sorted(left)[: EXAMPLES - len(first)]
    return Difference(added, changed, len(left), tuple(printable_name(os.fsdecode(path)) for path in first))


def _mark(entry: hashing.Entry) -> bytes:
    values = (
        f"{entry.kind} {entry.link} {entry.facts.size} {entry.facts.modified_ns} {entry.facts.changed_ns}"
    )
    return blake2b(os.fsencode(values), digest_size=8).hexdigest().encode()
