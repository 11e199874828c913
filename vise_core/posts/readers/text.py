"""Open text files of posts, plain or compressed, in any of the supported encodings."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from vise_core.errors import BadInput
from vise_core.files.compressed import BoundedReader, TooLarge, most_unpacked
from vise_core.files.names import contained, is_file, printable_name

from ..paths import is_system_file
from .raw import Notes

COMPRESSED = (".gz", ".zst")
SAMPLE = 64 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def files_of(folder: Path, pattern: str, notes: Notes, *also: str) -> list[Path]:
    """Return the files of a source, sorted by name, all inside the folder.

    ``also`` are file names to try where the source's own does not exist. Raises BadInput where there is no file,
    OutsideFolder for a file outside the folder.
    """
    if not folder.is_dir():
        notes.files.add(folder.resolve())
        return [folder]
    if any(sign in pattern for sign in "*?["):
        files = matching(folder, pattern)
    else:
        names = [name + ending for name in (pattern, *also) for ending in ("", *COMPRESSED)]
        files = [path for name in names if is_file(path := contained(folder, name, "source.posts"))][:1]
    if not files:
        raise BadInput(
            f"source.posts: there is no file '{printable_name(pattern)}' in the folder. `vise ingest-peek FOLDER` shows which "
            "layout it has"
        )
    notes.files.update(path.resolve() for path in files)
    return files


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files that a pattern matches, sorted by name.

    Raises BadInput for a pattern that is none, and OutsideFolder for one that leads out of the folder.
    """
    contained(folder, pattern, "source.posts")  # before a search that would walk through other folders
    try:
        paths = [path for path in folder.glob(pattern) if is_file(path)]
    except (NotImplementedError, ValueError, OSError) as error:
        raise BadInput(
            f"source.posts: '{printable_name(pattern)}' is not a pattern below the folder ({error})"
        ) from error
    for path in paths:
        contained(folder, path.relative_to(folder).as_posix(), "source.posts")
    below = {path: path.relative_to(folder).as_posix() for path in paths}
    return sorted((path for path in paths if not is_system_file(below[path])), key=below.__getitem__)


def shown(folder: Path, path: Path) -> str:
    """Return the file's path relative to the folder, for messages."""
    inside = path.is_relative_to(folder) and path != folder
    return printable_name(path.relative_to(folder).as_posix() if inside else path.name)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open the file's bytes; .gz and .zst are decompressed.

    Raises BadInput if it ends early, is damaged or unpacks to more than ``most_unpacked``.
    """
    import zlib

    try:
        with _open(path) as file:
            yield file
    except TooLarge as error:
        raise BadInput(
            f"{printable_name(path.name)}: {error}. If the file is as it should be, unpack it"
        ) from error
    except UnicodeError as error:
        raise BadInput(
            f"{printable_name(path.name)}: is not of its encoding ({error}); set source.encoding"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        too_wide = path.suffix.lower() == ".zst" and "memory" in str(error)
        advice = (
            "unpack it with zstd -d --long=31 and compress it without --long"
            if too_wide
            else "get the file again"
        )
        raise BadInput(
            f"{printable_name(path.name)}: cannot be read to its end ({error}): {advice}"
        ) from error


def _open(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return _bounded(cast(IO[bytes], gzip.open(path, "rb")), path)
    if path.suffix.lower() == ".zst":
        import pyarrow as pa

        return _bounded(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"), path)
    return path.open("rb")


def _bounded(file: IO[bytes], path: Path) -> IO[bytes]:
    return io.BufferedReader(BoundedReader(file, most_unpacked(path)), 2**20)  # type: ignore[type-var]


def encoding_of(path: Path, declared: str | None, notes: Notes, *, guess: bool) -> str:
    """Return the file's encoding.

    This is the declared encoding, that of its byte order mark, UTF-8, or with ``guess`` the likeliest of an old
    table. Raises BadInput where no encoding fits.
    """
    if declared is not None:
        name = codecs.lookup(declared).name
        return "utf-8-sig" if name == "utf-8" else name  # a BOM may be there or not
    with opened(path) as file:
        sample = file.read(SAMPLE)
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    if sample[:1024].count(0) > len(sample[:1024]) // 8:
        even, odd = sample[:1024:2].count(0), sample[1:1024:2].count(0)
        return "utf-16-le" if odd > even else "utf-16-be"
    whole = sample.splitlines()
    if len(sample) == SAMPLE and len(whole) > 1:
        whole.pop()  # the sample may end inside a character
    lines = [line for line in whole if not line.isascii()]
    broken = sum(not _is_utf8(line) for line in lines)
    # A few broken lines in a UTF-8 file reject their rows; they do not make it a file of another encoding.
    if not guess or 2 * broken <= len(lines):
        return "utf-8"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None:
        raise BadInput(
            f"{printable_name(path.name)}: the encoding is not clear; set source.encoding, such as cp1252"
        )
    notes.warn(
        f"{printable_name(path.name)} is not UTF-8; it is read as {best.encoding}. Set source.encoding where that is wrong."
    )
    return best.encoding


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def opened_text(path: Path, encoding: str, newline: str) -> Iterator[IO[str]]:
    """Open the file as text; invalid bytes become surrogates, so that their rows are rejected."""
    # UTF-16 and UTF-32 have no single bytes to keep so.
    errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    with opened(path) as file:
        yield io.TextIOWrapper(file, encoding=encoding, errors=errors, newline=newline)


def is_whole(text: str) -> bool:
    """Return True if every byte of the text was decoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
