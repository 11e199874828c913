"""Read zip archives that torch writes: uncompressed members, checked against their CRC, as views of the file."""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from vise_core.errors import BadCheckpoint

MAX_DIRECTORY_BYTES = 16 * 2**20
PIECE = 2**22
MAX_PACKED_BYTES = 64 * 2**20
END, END64, LOCATOR64, LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x03\x04"
TRUNCATED = "it ends before its table of contents: it is truncated; download it again"


class Members:
    """The members of a mapped archive. The map lives as long as a view of it.

    Attributes
    ----------
    names: in the order of the archive. checked: whether its writer computed checksums (torch can skip them).
    """

    def __init__(self, path: Path) -> None:
        """Check the archive. Raises BadCheckpoint unless every member is complete and has its stated CRC."""
        self._map = mapped(path)
        _bound_directory(self._map)
        try:
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            ValueError,
            NotImplementedError,
            struct.error,
        ) as error:
            raise BadCheckpoint(f"a damaged zip archive ({error}); download it again") from error
        self._places: dict[str, tuple[int, int]] = {}
        self._packed: set[str] = set()
        self.checked = any(info.CRC for info in infos)
        if sum(info.compress_size for info in infos) > len(self._map):
            raise BadCheckpoint("its members are larger than the file itself")
        if sum(info.file_size for info in infos if info.compress_type) > MAX_PACKED_BYTES:
            raise BadCheckpoint(
                f"its compressed members are larger than {MAX_PACKED_BYTES:,} bytes, and torch compresses only programs; "
                "download it as it was published"
            )
        for info in infos:
            if info.filename in self._places:
                raise BadCheckpoint(f"two members are named {info.filename!r:.100}")
            self._places[info.filename] = self._place(info)
            if self.checked:
                self._check(info)
        self.names = tuple(self._places)

    def view(self, name: str, limit: int | None = None) -> memoryview:
        """Return the bytes of a member as a view.

        Raises BadCheckpoint if there is none of this name, it is compressed, or it is larger than ``limit`` bytes.
        """
        if name not in self._places:
            raise BadCheckpoint(f"no entry {name!r:.200}")
        start, size = self._places[name]
        if name in self._packed:
            raise BadCheckpoint(
                f"{name!r:.100} is compressed, which torch does not do: another program packed the file again; download "
                "it as it was published"
            )
        if limit is not None and size > limit:
            raise BadCheckpoint(f"{name!r:.200} is larger than it may be")
        return memoryview(self._map)[start : start + size]

    def _place(self, info: zipfile.ZipInfo) -> tuple[int, int]:
        """Return (start, size) of a member in the file. torch stores data uncompressed and compresses only programs."""
        name = f"{info.filename!r:.100}"
        if info.flag_bits & 1:
            raise BadCheckpoint(f"{name} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadCheckpoint(f"{name} is compressed in a way that torch does not know")
        if info.compress_type == zipfile.ZIP_DEFLATED:
            self._packed.add(info.filename)
        elif info.file_size != info.compress_size:
            raise BadCheckpoint(f"a damaged zip archive: {name} has two sizes; download it again")
        head = self._map[info.header_offset : info.header_offset + 30]
        if len(head) != 30 or head[:4] != LOCAL:
            raise BadCheckpoint(f"a damaged zip archive: {name} is not where its table of contents says")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", head[26:30]))
        if start + info.compress_size > len(self._map):
            raise BadCheckpoint(f"a damaged zip archive: {name} ends after the file; download it again")
        return start, info.compress_size

    def _check(self, info: zipfile.ZipInfo) -> None:
        start, size = self._places[info.filename]
        crc = length = 0
        with memoryview(self._map) as whole:
            for at in range(start, start + size, PIECE):
                piece = whole[at : min(at + PIECE, start + size)]
                for part in self._unpacked(info, piece) if info.filename in self._packed else (piece,):
                    crc, length = zlib.crc32(part, crc), length + len(part)
        if crc != info.CRC or length != info.file_size:
            raise BadCheckpoint(
                f"it is damaged: {info.filename!r:.100} does not have the checksum (CRC-32) that the file states; "
                "download it again"
            )

    def _unpacked(self, info: zipfile.ZipInfo, packed: memoryview) -> Iterator[bytes]:
        """Yield the content of a compressed member in bounded memory, for its checksum."""
        if len(packed) != info.compress_size:
            raise BadCheckpoint(f"{info.filename!r:.100} is compressed and larger than it may be")
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        rest, length = bytes(packed), 0
        try:
            while rest and not inflate.eof and length <= info.file_size:
                part = inflate.decompress(rest, PIECE)
                rest, length = inflate.unconsumed_tail, length + len(part)
                yield part
        except zlib.error as error:
            raise BadCheckpoint(
                f"it is damaged: {info.filename!r:.100} cannot be unpacked; download it again"
            ) from error


def mapped(path: Path) -> mmap.mmap:
    """Map a file that is not empty privately: writes to the map never reach the file."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _bound_directory(whole: mmap.mmap) -> None:
    """Reject a zip directory so long that reading it would fill the memory."""
    end = whole.rfind(END, max(0, len(whole) - 22 - 65_535))
    if end < 0 or len(whole) - end < 22:
        raise BadCheckpoint(TRUNCATED)
    (size,) = struct.unpack("<I", whole[end + 12 : end + 16])
    if end >= 20 and whole[end - 20 : end - 16] == LOCATOR64:
        (at,) = struct.unpack("<Q", whole[end - 12 : end - 4])
        record = whole[at : at + 56] if at <= len(whole) else b""
        if len(record) == 56 and record[:4] == END64:
            (size64,) = struct.unpack("<Q", record[40:48])
            size = max(size64, size if size != 0xFFFFFFFF else 0)
    if size > min(MAX_DIRECTORY_BYTES, len(whole)):
        raise BadCheckpoint("its table of contents is larger than it may be, or damaged; download it again")
