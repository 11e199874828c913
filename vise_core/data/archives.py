"""Unpack untrusted archives: no path outside the target, bounded sizes, no links."""

from __future__ import annotations

import errno
import lzma
import mmap
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from vise_core.files.compressed import TooLarge
from vise_core.files.names import LONGEST_PATH, printable_name
from vise_core.files.tars import DAMAGED, is_damage, is_tar, open_tar
from vise_core.specs.fetch import UnpackLimits

from .member_names import UTF8_FLAG, BadArchive, MemberName, StrangeName, member_name, zip_names

if TYPE_CHECKING:
    import tarfile

CHUNK = 2**20
EXAMPLES = 20
RAISE_LIMITS = "Raise the limits of the run if this is as it should be"
_DAMAGED = (
    *DAMAGED,
    zipfile.BadZipFile,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    IndexError,
)


@dataclass
class Member:
    """A plain file of an archive."""

    name: MemberName
    open: Callable[[], IO[bytes]]


@dataclass
class Unpacked:
    """Counts of an unpacked archive.

    Attributes
    ----------
    files: how many were written. rejected: reason → members left out for their names. examples: the first of these.
    escaped: how many were written under an escaped name, as theirs is not UTF-8; ``escaped_first`` is one of them.
    """

    files: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
    escaped: int = 0
    escaped_first: str = ""

    def reject(self, error: StrangeName) -> None:
        """Count a rejected member; the first are kept as examples."""
        self.rejected[error.reason] = self.rejected.get(error.reason, 0) + 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"path": error.name, "reason": error.reason, "message": str(error)})


@contextmanager
def open_zip(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; names that are marked as UTF-8 but are not UTF-8 are read without the mark."""
    with archive.open("rb") as file:
        try:
            opened = zipfile.ZipFile(file)
        except UnicodeDecodeError:
            # A private copy: the file itself stays as it is, and only pages that are changed take memory.
            with _Copy(file.fileno(), 0, access=mmap.ACCESS_COPY) as copy:
                _unmark(copy)
                with zipfile.ZipFile(cast(IO[bytes], copy)) as unmarked:
                    yield unmarked
            return
        with opened:
            yield opened


class _Copy(mmap.mmap):
    """A modified copy of a zip, as the file object that zipfile needs."""

    def seekable(self) -> bool:
        return True


def _unmark(data: mmap.mmap) -> None:
    """Remove the UTF-8 mark from directory entries whose names are not UTF-8."""
    end = data.rfind(b"PK\x05\x06")
    at = data.find(b"PK\x01\x02", max(0, end - int.from_bytes(data[end + 12 : end + 16], "little")))
    while 0 <= at < end and data[at : at + 4] == b"PK\x01\x02":
        name, extra, comment = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (28, 30, 32))
        flags = int.from_bytes(data[at + 8 : at + 10], "little")
        if flags & UTF8_FLAG and not _is_utf8(data[at + 46 : at + 46 + name]):
            unmarked = (flags & ~UTF8_FLAG).to_bytes(2, "little")
            data[at + 8 : at + 10] = unmarked
            local = int.from_bytes(data[at + 42 : at + 46], "little")
            if data[local : local + 4] == b"PK\x03\x04":
                data[local + 6 : local + 8] = unmarked
        at += 46 + name + extra + comment


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_archive(path: Path) -> bool:
    """Return True for a zip or tar (plain, gzip, bzip2, xz), by its content."""
    return _is_zip(path) or is_tar(path)


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # It has a zip's end, which is damaged.
        return True


def most_of_archive(packed: int, limits: UnpackLimits) -> int:
    """Return how many bytes an archive of ``packed`` bytes may unpack to."""
    return min(limits.bytes, max(int(packed * limits.ratio), 16 * 2**20))


def unpack(
    archive: Path, target: Path, limits: UnpackLimits, on_progress: Callable[[int], None] | None = None
) -> Unpacked:
    """Unpack every plain file to ``target``. ``on_progress`` is called with the number of files so far.

    Sizes are counted while unpacking: the archive's own sizes are not trusted. A member whose name no folder can
    hold, or that another member has already, is rejected and counted; the others are unpacked.

    Raises BadArchive for a member that would land outside, a link, a device, an encrypted or damaged member, and when
    a limit is exceeded; the caller deletes the files unpacked so far.
    """
    packed = max(1, archive.stat().st_size)
    most = most_of_archive(packed, limits)
    done = Unpacked()
    total = 0
    try:
        for member in _members(archive, done, most, limits.files):
            if done.files + sum(done.rejected.values()) >= limits.files:
                raise BadArchive(f"{archive.name}: more than {limits.files:,} files")
            try:
                written = _created(target, member.name)
            except StrangeName as error:
                done.reject(error)
                continue
            done.files += 1
            with member.open() as read, written as write:
                while chunk := read.read(CHUNK):
                    total += len(chunk)
                    if total > most:
                        raise BadArchive(
                            f"{archive.name}: unpacks to more than {most:,} bytes from {packed:,}; stopped at "
                            f"{printable_name(member.name.path)}. {RAISE_LIMITS}"
                        )
                    write.write(chunk)
            if member.name.escaped:
                done.escaped += 1
                done.escaped_first = done.escaped_first or member.name.path.as_posix()
            if on_progress is not None and done.files % 100 == 0:
                on_progress(done.files)
    except BadArchive:
        raise
    except UnicodeDecodeError as error:
        raise BadArchive(f"{archive.name}: a name is marked as UTF-8 and is not ({error.reason})") from error
    except TooLarge as error:
        raise BadArchive(f"{archive.name}: {error} from {packed:,}. {RAISE_LIMITS}") from error
    except _DAMAGED as error:
        if not is_damage(error):
            raise
        raise BadArchive(f"{archive.name}: damaged, encrypted or of an unknown kind ({error})") from error
    if done.files == 0:
        raise BadArchive(f"{archive.name}: holds no file{_of_rejected(done)}")
    return done


def _created(target: Path, name: MemberName) -> IO[bytes]:
    """Create the member's file and open it. Raises StrangeName if another member has the same path."""
    place, shown = target.joinpath(*name.path.parts), printable_name(name.path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        return place.open("xb")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG or len(os.fsencode(place)) > LONGEST_PATH:
            raise StrangeName(
                shown[:200], "name_too_long", "has a longer path than the system allows"
            ) from error
        if not isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise
        if place.is_file():
            message = "comes more than once; the first is kept"
            raise StrangeName(shown, "name_twice", message) from error
        raise StrangeName(shown, "file_and_folder", "is a file and a folder at once") from error


def _of_rejected(done: Unpacked) -> str:
    return f" with a usable name; rejected: {done.examples[0]['message']}" if done.examples else ""


def _members(archive: Path, done: Unpacked, most: int, files: int) -> Iterator[Member]:
    """Yield the plain files; members with an unusable name are counted in ``done``."""
    reading = _zip_members(archive, files) if _is_zip(archive) else _tar_members(archive, most, files)
    for name, opened in reading:
        try:
            member = member_name(archive.name, name)
        except StrangeName as error:
            done.reject(error)
            continue
        if member is not None:
            yield Member(member, opened)


def _zip_members(archive: Path, files: int) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    with open_zip(archive) as opened:
        entries = opened.infolist()
        if len(entries) > 2 * files:  # with folders and what systems add
            raise BadArchive(f"{archive.name}: more than {files:,} files")
        for info, name in zip(entries, zip_names(entries), strict=True):
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
                raise BadArchive(
                    f"{archive.name}: '{printable_name(name)}' is a link or a device; only files are accepted"
                )
            if info.flag_bits & 0x1:
                raise BadArchive(f"{archive.name}: '{printable_name(name)}' is encrypted")
            yield name, lambda info=info: opened.open(info)  # type: ignore[misc]


def _tar_members(archive: Path, most: int, files: int) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    with open_tar(archive, most=most) as opened:
        for number, entry in enumerate(opened.members()):
            if number >= 2 * files:
                raise BadArchive(f"{archive.name}: more than {files:,} files")
            if entry.isdir():
                continue
            if not entry.isreg():
                raise BadArchive(
                    f"{archive.name}: '{printable_name(entry.name)}' is a link or a device; only files are accepted"
                )
            yield entry.name, lambda entry=entry: _content(opened.tar, entry)  # type: ignore[misc]
        opened.has_end()


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(entry)
    assert content is not None  # of a regular file there always is one
    return content
