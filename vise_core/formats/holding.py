"""Find files that hold a post, by its id or its key, whatever their format: to remove the post, and to prove it is gone.

A file is judged by its content, since an object of a storage has no name. In formats with fields (JSON, CSV, Parquet)
a whole value must be equal to the id; a number counts only in a field ``id`` or ``post_id``. In other text, and in
binary data, the id must stand alone, and have ``FREE_LENGTH`` characters: shorter ones would be found by chance.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .post import post_key

FREE_LENGTH = 8
ID_FIELDS = ("id", "post_id")
MAX_DEPTH = 4
"""Archives within archives."""
_CHUNK = 2**22
_COMPRESSED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    pa.ArrowException,
)


class Wanted:
    """The posts that are looked for, prepared once for many files."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self.of_name = {post_key(post_id): post_id for post_id in self.ids} | {i: i for i in self.ids}
        self.values = pa.array(sorted(self.of_name))
        free = {name for name in self.of_name if len(name) >= FREE_LENGTH}
        spellings = {spelling.encode(): name for name in free for spelling in (name, json.dumps(name)[1:-1])}
        self.spellings = spellings
        self.longest = max(map(len, spellings), default=0)
        alone = rb"(?<![0-9A-Za-z_])(?:%s)(?![0-9A-Za-z_])" % b"|".join(map(re.escape, sorted(spellings)))
        self.pattern = re.compile(alone if spellings else rb"(?!)")


def held_posts(path: Path, wanted: Wanted) -> set[str]:
    """Return the ids of those posts that a file holds."""
    with path.open("rb") as file:
        return {wanted.of_name[name] for name in _names(file, wanted, 0)}


def _names(file: BinaryIO, wanted: Wanted, depth: int) -> set[str]:
    """Return the ids and keys in a file. What breaks off is searched as bytes."""
    try:
        head = file.read(262)
        file.seek(0)
        if depth < MAX_DEPTH:
            if head.startswith(b"PAR1"):
                return _in_parquet(file, wanted)
            if head.startswith(b"PK\x03\x04"):
                return _in_zip(file, wanted, depth)
            if head[257:262] == b"ustar":
                return _in_tar(file, wanted, depth)
            for magic, opened in _COMPRESSED:
                if head.startswith(magic):
                    with opened(file) as inner:
                        return _names(io.BytesIO(inner.read()), wanted, depth + 1)
        if b"\0" not in head:
            return _in_text(file, wanted)
    except _BROKEN:
        pass
    file.seek(0)
    return _in_bytes(file, wanted)


def _in_bytes(file: BinaryIO, wanted: Wanted) -> set[str]:
    found: set[str] = set()
    tail = b""
    while chunk := file.read(_CHUNK):
        data = tail + chunk
        found |= {wanted.spellings[match] for match in wanted.pattern.findall(data)}
        tail = data[-wanted.longest - 1 :]
    return found


def _in_parquet(file: BinaryIO, wanted: Wanted) -> set[str]:
    found: set[str] = set()
    for batch in pq.ParquetFile(file).iter_batches(10_000):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            found |= _in_column(name, column, wanted)
    return found


def _in_column(name: str, column: pa.Array, wanted: Wanted) -> set[str]:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _in_column(name, column.flatten(), wanted)
    if pa.types.is_struct(kind):
        parts = zip((field.name for field in kind), column.flatten(), strict=True)
        return {found for part, values in parts for found in _in_column(part, values, wanted)}
    if pa.types.is_integer(kind) and name in ID_FIELDS:
        column = column.cast(pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return set()
    equal = column.filter(pc.is_in(column.cast(pa.string()), wanted.values))
    return {str(value) for value in equal.to_pylist() if value is not None}


def _in_zip(file: BinaryIO, wanted: Wanted, depth: int) -> set[str]:
    found: set[str] = set()
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            found |= _of_name(member.filename, wanted)
            found |= _names(io.BytesIO(archive.read(member)), wanted, depth + 1)
    return found


def _in_tar(file: BinaryIO, wanted: Wanted, depth: int) -> set[str]:
    found: set[str] = set()
    with tarfile.open(fileobj=file) as archive:
        for member in archive:
            found |= _of_name(member.name, wanted)
            if (content := archive.extractfile(member)) is not None:
                found |= _names(io.BytesIO(content.read()), wanted, depth + 1)
    return found


def _of_name(path: str, wanted: Wanted) -> set[str]:
    name = path.rpartition("/")[2]
    return {part for part in (name, name.partition(".")[0]) if part in wanted.of_name}


def _in_text(file: BinaryIO, wanted: Wanted) -> set[str]:
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        file.seek(0)
        return _in_bytes(file, wanted)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = wanted.of_name.keys() & set(lines)
    for documents in ([text], lines):
        try:
            return found.union(*(_in_json(json.loads(document), wanted) for document in documents))
        except (ValueError, RecursionError):
            continue
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        for row in csv.DictReader(io.StringIO(text), delimiter=delimiter):
            named = [row[field] for field in row if field and field.strip().lower() in ID_FIELDS]
            found |= {str(value).strip() for value in named} & wanted.of_name.keys()
    except csv.Error:
        pass
    return found | {wanted.spellings[match] for match in wanted.pattern.findall(text.encode())}


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
        yield from (
            wanted.spellings[match] for match in wanted.pattern.findall(value.encode(errors="replace"))
        )
    elif field in ID_FIELDS and type(value) is int and str(value) in wanted.of_name:
        yield str(value)
