"""Unpack an archive that somebody sent: nothing lands outside, nothing grows without end, nothing is a link."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from vise_core.errors import BadInput
from vise_core.specs.data import UnpackLimits

CHUNK = 2**20
LONGEST_NAME, DEEPEST = 255, 32
HIDDEN = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What systems add of their own; left out without a word."""

Tell = Callable[[int], None]


class BadArchive(BadInput):
    """An archive that is refused. The message names the member."""


@dataclass
class Member:
    """One plain file of an archive."""

    path: PurePosixPath
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether the file is a zip or a tar (plain, gzip, bzip2, xz), by its content."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def unpack(archive: Path, target: Path, limits: UnpackLimits, tell: Tell | None = None) -> int:
    """Unpack every plain file below ``target``; returns how many. ``tell`` hears of the files so far.

    Sizes are counted as bytes come out: what an archive says of itself is not believed.

    Raises BadArchive for a member that would land outside, a link, a device, a name twice, an encrypted or
    damaged member, and once a limit is passed; what was unpacked so far is for the caller to delete.
    """
    packed = max(1, archive.stat().st_size)
    most = min(limits.bytes, max(int(packed * limits.ratio), 16 * 2**20))
    files = total = 0
    try:
        for member in _members(archive):
            files += 1
            if files > limits.files:
                raise BadArchive(f"{archive.name}: more than {limits.files:,} files")
            place = target.joinpath(*member.path.parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as read, place.open("xb") as write:
                while chunk := read.read(CHUNK):
                    total += len(chunk)
                    if total > most:
                        raise BadArchive(
                            f"{archive.name}: unpacks to more than {most:,} bytes from {packed:,}; refused at "
                            f"{member.path}. Raise the limits of the run if this is as it should be"
                        )
                    write.write(chunk)
            if tell is not None and files % 100 == 0:
                tell(files)
    except FileExistsError as error:
        raise BadArchive(f"{archive.name}: the member {member.path} comes twice") from error
    except (NotADirectoryError, IsADirectoryError) as error:
        raise BadArchive(f"{archive.name}: {member.path} is a file and a folder at once") from error
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise BadArchive(f"{archive.name}: damaged, encrypted or of an unknown kind ({error})") from error
    if files == 0:
        raise BadArchive(f"{archive.name}: holds no file")
    return files


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if info.is_dir():
                    continue
                mode = info.external_attr >> 16
                if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
                    raise BadArchive(
                        f"{archive.name}: {info.filename!r} is a link or a device; only files are taken"
                    )
                if info.flag_bits & 0x1:
                    raise BadArchive(f"{archive.name}: {info.filename!r} is encrypted")
                if (path := _safe(archive, info.filename)) is not None:
                    yield Member(path, lambda info=info: opened.open(info))  # type: ignore[misc]
        return
    with tarfile.open(archive, "r:*") as tar:
        for entry in tar:
            if entry.isdir():
                continue
            if not entry.isreg():
                raise BadArchive(
                    f"{archive.name}: {entry.name!r} is a link or a device; only files are taken"
                )
            if (path := _safe(archive, entry.name)) is not None:
                yield Member(path, lambda entry=entry: _content(tar, entry))  # type: ignore[misc]


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(entry)
    assert content is not None  # of a regular file there always is one
    return content


def _safe(archive: Path, name: str) -> PurePosixPath | None:
    """The member's path if it stays inside; None for what systems add. Raises BadArchive."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "."]
    bad = (
        path.is_absolute()
        or ".." in parts
        or not parts
        or len(parts) > DEEPEST
        or (len(parts[0]) > 1 and parts[0][1] == ":")
        or any(len(part.encode()) > LONGEST_NAME or not part.isprintable() for part in parts)
    )
    if bad:
        raise BadArchive(
            f"{archive.name}: the member {name[:200]!r} would leave its folder, or has no usable name"
        )
    if any(part in HIDDEN or part.startswith("._") for part in parts):
        return None
    return PurePosixPath(*parts)
