"""The files of a folder by path, size and times: whether they have changed is known without reading any.

A listing is cheap (one ``stat`` a file) where a manifest of digests reads every byte. It can only raise the question:
a file that was copied anew with the same content differs here and has the same digest.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from .errors import Stopped

EXAMPLES = 5
"""Paths that a difference names."""


class Difference(NamedTuple):
    """How many files of a folder differ from those of an older listing, and the first of them."""

    added: int
    changed: int
    removed: int
    first: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def walk(folder: Path, should_stop: Callable[[], bool] = lambda: False) -> Iterator[tuple[bytes, bytes]]:
    """(path below the folder, mark of size, time of modification and time of change) of every file.

    As in a manifest, links to files count as files and links to folders are not followed.
    Raises OSError where the folder cannot be listed, Stopped where it is asked to stop.
    """
    yield from _walk(os.fsencode(folder), b"", should_stop)


def pack(rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The rows of ``walk`` as few bytes."""
    # No path holds a zero byte.
    return zlib.compress(b"\0".join(part for row in sorted(rows) for part in row), 6)


def unpack(packed: bytes) -> dict[bytes, bytes]:
    """{path: mark} of the rows that ``pack`` was given."""
    parts = zlib.decompress(packed).split(b"\0")
    return dict(zip(parts[::2], parts[1::2], strict=True)) if len(parts) > 1 else {}


def compare(before: dict[bytes, bytes], rows: Iterable[tuple[bytes, bytes]]) -> Difference:
    """How the files of ``rows`` differ from those ``before``."""
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
    return Difference(added, changed, len(left), tuple(os.fsdecode(path) for path in first))


def _walk(folder: bytes, below: bytes, should_stop: Callable[[], bool]) -> Iterator[tuple[bytes, bytes]]:
    if should_stop():
        raise Stopped("the listing of the folder was stopped")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, below + entry.name + b"/", should_stop)
            elif entry.is_file():
                # A file that goes in this very moment is not there.
                with suppress(FileNotFoundError):
                    yield below + entry.name, _mark(entry.stat())


def _mark(stat: os.stat_result) -> bytes:
    values = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
    return blake2b(values.encode(), digest_size=8).hexdigest().encode()
