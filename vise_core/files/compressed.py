"""Bounds on what a compressed file unpacks to, by its size: a few kilobytes may unpack to gigabytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Final

from vise_core.errors import BadInput

MAX_RATIO: Final = 200
"""Unpacked over packed size. Texts of posts have about 10."""
ALWAYS: Final = 64 * 2**20
"""Bytes that also the smallest file may unpack to."""


class TooLarge(BadInput):
    """A file unpacks to more than it may, or a header of a tar is larger than it may be."""


def most_unpacked(path: Path) -> int:
    """Return how many bytes a compressed file may unpack to."""
    return max(ALWAYS, MAX_RATIO * path.stat().st_size)


def too_large(most: int) -> TooLarge:
    """Return the error of a file that unpacks to more than ``most`` bytes."""
    return TooLarge(f"unpacks to more than {most:,} bytes")


class BoundedReader(io.RawIOBase):
    """The unpacked bytes of a file. Raises TooLarge after ``most`` of them."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most, self._unpacked = file, most, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        self._unpacked += len(data)
        if self._unpacked > self._most:
            raise too_large(self._most)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
