"""Write tars as streams, and read untrusted ones: what they unpack to and what their headers take is bounded."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from .compressed import TooLarge, most_unpacked, too_large

MAX_HEADERS: Final = 2**20
"""Bytes of the headers of one member: long names and PAX records. tarfile reads each of them at once."""
MAX_DIGITS: Final = 255
"""Digits in a row in a header, as a name has at most. tarfile searches headers in time that grows with their square."""
OVERHEAD: Final = 4096
"""Bytes of headers and padding that each member may have besides its content."""
DAMAGED: Final = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, RecursionError)
"""What reading a damaged tar may raise. An OSError of the system has an ``errno``; see ``is_damage``."""

END: Final = b"\0" * (2 * tarfile.BLOCKSIZE)
"""The mark after the last member of a tar."""

_DIGITS: Final = re.compile(rb"\d+")
_COMPRESSED: Final = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
    (b"]\0\0\x80", lzma.open),
)


def tar_member(name: str, size: int, content: Iterable[bytes], *, mtime: int = 0) -> Iterator[bytes]:
    """Yield a file as a member of a tar: header, content of ``size`` bytes, padding. ``mtime``: seconds since 1970."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, mtime
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield from content
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


class _Bounded(io.RawIOBase):
    """The unpacked bytes of a tar. Also bytes that tarfile skips are counted."""

    def __init__(self, file: IO[bytes], most: int | None) -> None:
        self.most = most
        self.headers: int | None = None
        self._file = file
        self._unpacked = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        if self.headers is not None:
            self.headers -= size
            if self.headers < 0:
                raise TooLarge(f"a header of more than {MAX_HEADERS:,} bytes")
        self._count(self._file.tell() + max(0, size))
        data = self._file.read(size)
        if self.headers is not None and any(len(digits[0]) > MAX_DIGITS for digits in _DIGITS.finditer(data)):
            raise TooLarge(f"a header with more than {MAX_DIGITS} digits in a row")
        return data

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._count(position)
        return self._file.seek(position, whence)

    def _count(self, position: int) -> None:
        self._unpacked = max(self._unpacked, position)
        if self.most is not None and self._unpacked > self.most:
            raise too_large(self.most)


class Tar:
    """An opened tar. ``members`` yields its members in order and keeps none of them."""

    def __init__(self, tar: tarfile.TarFile, stream: _Bounded) -> None:
        self.tar = tar
        self._stream = stream

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Yield each member.

        Raises TooLarge for headers beyond their limit, and one of ``DAMAGED`` where the tar is damaged.
        """
        before = -1
        while True:
            self._stream.headers = MAX_HEADERS
            member = self.tar.next()
            self._stream.headers = None
            if member is None:
                return
            self.tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
            if member.size < 0 or member.offset <= before:
                raise tarfile.ReadError("a member of negative size")
            if sum(len(key) + len(value) for key, value in self.tar.pax_headers.items()) > MAX_HEADERS:
                raise TooLarge(f"headers of more than {MAX_HEADERS:,} bytes for the whole archive")
            before = member.offset
            if self._stream.most is not None:
                self._stream.most += OVERHEAD
            yield member

    def has_end(self) -> bool:
        """Return True if an end mark follows the last member, False if nothing does.

        Raises EOFError for anything else: tarfile takes a damaged header for the end.
        """
        position = int(self.tar.offset)  # type: ignore[attr-defined]
        self._stream.seek(position)
        block = self._stream.read(tarfile.BLOCKSIZE)
        if block.strip(b"\0"):
            raise EOFError(f"a header at byte {position:,} is damaged or breaks off")
        return bool(block)


@contextmanager
def open_tar(path: Path, *, most: int | None = None, encoding: str = "utf-8") -> Iterator[Tar]:
    """Open a tar, plain or compressed with gzip, bzip2 or xz. Names that are not UTF-8 hold surrogates.

    ``most``: bytes that the content of all members may unpack to; without, as many as ``most_unpacked`` says. Raises
    TooLarge where it is more, and one of ``DAMAGED`` where the tar is damaged.
    """
    with path.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        unpack = next((kind for mark, kind in _COMPRESSED if start.startswith(mark)), None)
        unpacked = file if unpack is None else cast(IO[bytes], unpack(file))
        with open_tar_stream(
            unpacked, most=most_unpacked(path) if most is None else most, encoding=encoding
        ) as tar:
            yield tar


@contextmanager
def open_tar_stream(
    unpacked: IO[bytes], *, most: int | None = None, encoding: str = "utf-8"
) -> Iterator[Tar]:
    """Open the stream of an unpacked tar, which can go forwards at least; see ``open_tar``."""
    stream = _Bounded(unpacked, None if most is None else most + 2 * MAX_HEADERS)
    stream.headers = MAX_HEADERS
    with tarfile.open(
        fileobj=cast(IO[bytes], stream), mode="r:", encoding=encoding, errors="surrogateescape"
    ) as tar:
        stream.headers = None
        yield Tar(tar, stream)


def is_tar(path: Path) -> bool:
    """Return True if the file begins as a tar."""
    try:
        with open_tar(path) as tar:
            next(tar.members(), None)
    except (TooLarge, RecursionError):
        return True
    except DAMAGED:
        return False
    return True


def is_damage(error: BaseException) -> bool:
    """Return False for an error of the system, such as a full disk."""
    # EINVAL: a stated position is negative.
    return not isinstance(error, OSError) or error.errno in (None, errno.EINVAL)
