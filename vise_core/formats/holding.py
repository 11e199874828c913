"""Find files that hold a post, by its id or its key, whatever their format: to remove the post, and to prove it is gone.

A file is judged by its content, since an object of a storage has no name. In formats with fields (JSON, CSV, Parquet)
a whole value must be equal to the id; a number counts only in a field ``id`` or ``post_id``. In other text, and in
binary data, the id must stand alone, and have ``FREE_LENGTH`` characters: shorter ones would be found by chance.

Files are read as streams. What a hostile file may still take, memory and time, is bounded by ``holding_process.py``.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from vise_core.errors import BadInput
from vise_core.files.tars import open_tar_stream

from .post import post_key

if TYPE_CHECKING:
    import pyarrow as pa

FREE_LENGTH = 8
ID_FIELDS = ("id", "post_id")
MAX_DEPTH = 4
"""Archives within archives."""
TEXT_BYTES = 16 * 2**20
"""Text up to this size is parsed as a whole, larger one line by line; also the longest such line."""
UNPACKED_BYTES = 4 * 2**30
UNPACKED_TIMES = 100
"""What is read of a file and of all within it: so many bytes, and so many times its own size."""
_CHUNK = 2**22
_FEW = 32
_STEP = 2**12
_SPOOLED = 8 * 2**20
_COMPRESSED = (
    (re.compile(rb"\x1f\x8b\x08"), gzip.open),
    (re.compile(rb"BZh[1-9]1AY&SY"), bz2.open),
    (re.compile(rb"\xfd7zXZ\0"), lzma.open),
    (re.compile(rb"\]\0\0\x80"), lzma.open),
)
_DAMAGED = (
    *(OSError, EOFError, ValueError, RecursionError, struct.error, IndexError, KeyError, OverflowError),
    *(zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile),
    # Of zipfile: an encrypted member, and an unknown method. Of pyarrow: a column of another type than stated.
    *(RuntimeError, NotImplementedError, TypeError),
    BadInput,  # of a tar with headers beyond their limit
)
"""What reading a damaged archive or Parquet file may raise."""


class Wanted:
    """The posts that are looked for, prepared once for many files."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self.of_name = {post_key(post_id): post_id for post_id in self.ids} | {i: i for i in self.ids}
        free = {name for name in self.of_name if len(name) >= FREE_LENGTH}
        self.has_short = len(free) < len(self.of_name)
        spellings = {spelling.encode(): name for name in free for spelling in (name, json.dumps(name)[1:-1])}
        self.spellings = spellings
        self.longest = max(map(len, spellings), default=0)
        alone = rb"(?<![0-9A-Za-z_])(?:%s)(?![0-9A-Za-z_])" % b"|".join(map(re.escape, sorted(spellings)))
        self.pattern = re.compile(alone if spellings else rb"(?!)")

    @cached_property
    def values(self) -> pa.Array:
        """Ids and keys, for comparison with columns."""
        import pyarrow as pa

        return pa.array(sorted(self.of_name))

    def within(self, data: bytes) -> set[str]:
        """Return the ids and keys that stand alone in text or binary data."""
        # Many times as fast as the pattern, which tries each position.
        if len(self.spellings) <= _FEW and not any(spelling in data for spelling in self.spellings):
            return set()
        return {self.spellings[match] for match in self.pattern.findall(data)}


@dataclass(frozen=True)
class Searched:
    """The ids of the posts that a file holds; ``problem``: why not all of the file could be searched, or empty."""

    posts: frozenset[str]
    problem: str = ""


def search_file(path: Path, wanted: Wanted) -> Searched:
    """Search a file for posts. What is damaged, encrypted or too large is searched as far as possible.

    Raises FileNotFoundError if there is no such file.
    """
    with path.open("rb") as file:
        search = _Search(wanted, UNPACKED_BYTES + UNPACKED_TIMES * path.stat().st_size)
        try:
            search.file(file, 0)
        except _TooLarge as error:
            search.problem = str(error)
        except MemoryError:
            search.problem = "it takes too much memory to read"
        return Searched(frozenset(wanted.of_name[name] for name in search.names), search.problem)


class _TooLarge(Exception):
    """A file unpacks to more than is read."""


class _Counted(io.RawIOBase):
    """A stream whose bytes count."""

    def __init__(self, stream: IO[bytes], search: _Search) -> None:
        self._stream, self._search = stream, search

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._search.count(len(data))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        before = self._stream.tell()
        after = self._stream.seek(position, whence)
        # A compressed stream reads what it skips, and begins again to go back.
        self._search.count(after - before if after >= before else after)
        return after

    def tell(self) -> int:
        return self._stream.tell()


class _Search:
    """A search of one file and of all within it: the ids and keys that were found, and what could not be searched."""

    def __init__(self, wanted: Wanted, most: int) -> None:
        self.wanted, self.left = wanted, most
        self.most = most
        self.names: set[str] = set()
        self.problem = ""

    def count(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _TooLarge(f"it unpacks to more than {self.most:,} bytes")

    def file(self, file: IO[bytes], depth: int) -> None:
        """Search a stream at its begin."""
        head = file.read(262)
        file.seek(0)
        search = self._archive_search(head)
        if search is None:
            self._text(file) if b"\0" not in head else self._bytes(file)
            return
        if depth == MAX_DEPTH:
            self.problem = f"it has more than {MAX_DEPTH} archives within each other"
        else:
            try:
                search(file, depth)
                return
            except MemoryError:
                raise
            except _DAMAGED as error:
                self._damaged(error)
        file.seek(0)
        self._bytes(file)

    def _archive_search(self, head: bytes) -> Any:
        if head.startswith(b"PAR1"):
            return self._parquet
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return self._zip
        if head[257:262] == b"ustar":
            return self._tar
        return next((self._unpacking(kind) for magic, kind in _COMPRESSED if magic.match(head)), None)

    def _damaged(self, error: BaseException) -> None:
        self.problem = f"it is damaged or encrypted ({str(error)[:200] or type(error).__name__})"

    def _inner(self, stream: IO[bytes], depth: int) -> None:
        """Search a stream within an archive, which may be damaged."""
        try:
            with io.BufferedReader(_Counted(stream, self)) as counted:
                self.file(cast(IO[bytes], counted), depth + 1)
        except MemoryError:
            raise
        except _DAMAGED as error:
            self._damaged(error)
            # In small steps, up to the place of the damage.
            with suppress(*_DAMAGED):
                stream.seek(0)
                self._bytes(stream, _STEP)

    def _unpacking(self, kind: Any) -> Any:
        def search(file: IO[bytes], depth: int) -> None:
            with kind(file) as inner:
                self._inner(inner, depth)

        return search

    def _zip(self, file: IO[bytes], depth: int) -> None:
        with self._spooled(file, depth) as real, zipfile.ZipFile(real) as archive:
            for member in archive.infolist():
                self._name(member.filename)
                try:
                    with archive.open(member) as content:
                        self._inner(content, depth)
                except MemoryError:
                    raise
                except _DAMAGED as error:
                    self._damaged(error)

    def _tar(self, file: IO[bytes], depth: int) -> None:
        with open_tar_stream(file) as opened:
            for member in opened.members():
                self._name(member.name)
                if member.isreg() and (content := opened.tar.extractfile(member)) is not None:
                    self._inner(content, depth)
            opened.has_end()
            self._bytes(file)  # what follows the end

    def _parquet(self, file: IO[bytes], depth: int) -> None:
        import pyarrow.parquet as pq

        with self._spooled(file, depth) as real:
            columns = [
                column.path for column in pq.ParquetFile(real).schema if column.physical_type == "BYTE_ARRAY"
            ]
            for batch in pq.ParquetFile(real, read_dictionary=columns).iter_batches(
                10_000, use_threads=False
            ):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    self._column(name, column)

    def _column(self, name: str, column: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        if pa.types.is_dictionary(kind):
            self._column(name, column.dictionary.take(pc.unique(column.indices.drop_null())))
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            self._column(name, column.flatten())
        elif pa.types.is_struct(kind):
            for field, values in zip(kind, column.flatten(), strict=True):
                self._column(field.name, values)
        elif (pa.types.is_integer(kind) and name in ID_FIELDS) or (
            pa.types.is_string(kind) or pa.types.is_large_string(kind)
        ):
            equal = column.filter(pc.is_in(column.cast(pa.string()), self.wanted.values))
            self.names |= {str(value) for value in equal.to_pylist() if value is not None}

    def _spooled(self, file: IO[bytes], depth: int) -> IO[bytes]:
        """Return a copy of a stream in which one can go back and forth at no cost; of the file itself nothing is copied."""
        if depth == 0:
            return Path(file.name).open("rb")
        copy = cast(IO[bytes], tempfile.SpooledTemporaryFile(_SPOOLED))  # noqa: SIM115 -- closed by the caller
        while chunk := file.read(_CHUNK):
            copy.write(chunk)
        copy.seek(0)
        return copy

    def _name(self, path: str) -> None:
        name = path.rpartition("/")[2]
        self.names |= {part for part in (name, name.partition(".")[0]) if part in self.wanted.of_name}

    def _bytes(self, file: IO[bytes], size: int = _CHUNK) -> None:
        tail = b""
        while chunk := file.read(size):
            data = tail + chunk
            self.names |= self.wanted.within(data)
            tail = data[-self.wanted.longest - 1 :]

    def _text(self, file: IO[bytes]) -> None:
        data = file.read(TEXT_BYTES + 1)
        try:
            text = data.decode("utf-8-sig", "strict" if len(data) <= TEXT_BYTES else "ignore")
        except UnicodeDecodeError:
            file.seek(0)
            return self._bytes(file)
        if len(data) > TEXT_BYTES:
            file.seek(0)
            return self._lines(file, text.partition("\n")[0])
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        self.names |= self.wanted.of_name.keys() & set(lines)
        for documents in ([text], lines):
            try:
                self.names |= set().union(*(_in_json(json.loads(each), self.wanted) for each in documents))
                return None
            except RecursionError:
                self._only_whole("JSON that is nested too deep")
            except ValueError:
                continue
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        try:
            for row in csv.DictReader(io.StringIO(text), delimiter=delimiter):
                values = {str(row[field]).strip() for field in row if field and _is_id(field)}
                self.names |= values & self.wanted.of_name.keys()
        except csv.Error as error:
            self._only_whole(f"a table that is damaged ({error})")
        self.names |= self.wanted.within(text.encode())
        return None

    def _lines(self, file: IO[bytes], header: str) -> None:
        """Search large text: JSON lines, a table, or lines of another kind."""
        delimiter = max(",;\t", key=header.count)
        fields = [index for index, field in enumerate(header.split(delimiter)) if _is_id(field)]
        is_json = header.lstrip()[:1] in ("{", "[")
        while line := file.readline(TEXT_BYTES):
            if len(line) == TEXT_BYTES and not line.endswith(b"\n"):
                self._only_whole(f"a line of more than {TEXT_BYTES:,} bytes")
                file.seek(0)
                return self._bytes(file)
            text = line.decode("utf-8-sig", "replace").strip()
            self.names |= self.wanted.of_name.keys() & {text}
            if is_json and text:
                try:
                    self.names |= set(_in_json(json.loads(text), self.wanted))
                    continue
                except (ValueError, RecursionError):
                    self._only_whole(
                        f"JSON of more than {TEXT_BYTES:,} bytes that is not one document a line"
                    )
            if fields:
                row = next(csv.reader([text], delimiter=delimiter), [])
                self.names |= {row[i].strip() for i in fields if i < len(row)} & self.wanted.of_name.keys()
            self.names |= self.wanted.within(line)
        return None

    def _only_whole(self, what: str) -> None:
        """Note what was searched for ids that stand alone, among which short ones are not found."""
        if self.wanted.has_short:
            self.problem = f"it has {what}, in which ids of less than {FREE_LENGTH} characters are not found"


def _is_id(field: str) -> bool:
    return field.strip().strip('"').lower() in ID_FIELDS


def _in_json(value: Any, wanted: Wanted, field: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in wanted.of_name:
                yield key
            yield from _in_json(inner, wanted, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _in_json(inner, wanted, field)
    elif isinstance(value, str):
        if value in wanted.of_name:
            yield value
        yield from wanted.within(value.encode(errors="replace"))
    elif field in ID_FIELDS and type(value) is int and str(value) in wanted.of_name:
        yield str(value)
