"""The artifact ``posts``: shards as WebDataset tar files with reproducible bytes, and random access to them.

A shard is a plain ustar file: for each post ``<key>.json`` then ``<key>.jpg``. ``index.json`` has the name, number of
posts and SHA-256 of each shard.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vise_core.errors import BadInput
from vise_core.specs.base import Record

from .json_file import read_json, write_json
from .post import Post, PostRecord, post_from_json, post_to_json

INDEX_FILE = "index.json"
MAX_INDEX_BYTES = 2**30
MAX_POSTS = 2**40
"""Of a shard: as many shards as an index may hold have together fewer than an int64 counts."""
EXTENSIONS = ("jpg", "png", "webp")
_BLOCK = 512
_KEY_DIGITS = 32
_MEMBER = re.compile(rf"([0-9a-f]{{{_KEY_DIGITS}}})\.(json|jpg|png|webp)")
_REMEDY = "ingest again"

Offsets = npt.NDArray[np.int64]


class StoredMember(NamedTuple):
    """Where a part of a post lies, its JSON or its encoded image: a file of the folder, the offset in it, and the size."""

    file: str
    offset: int
    size: int

    def read(self, folder: Path) -> bytes:
        """Read the bytes."""
        with (folder / self.file).open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


class ShardEntry(Record):
    """A shard in the index."""

    name: str = Field(pattern=r"^shard-\d{6,}\.tar$")
    posts: int = Field(ge=0, le=MAX_POSTS)
    sha256: str


class PostsIndex(Record):
    """The content of ``index.json``."""

    format: Literal["vise-posts-1"] = "vise-posts-1"
    posts: int = Field(ge=0, description="Posts of all shards.")
    synthetic: bool = Field(description="Whether the posts are generated sample data.")
    shards: tuple[ShardEntry, ...]


def shard_name(number: int) -> str:
    """Return the file name of the shard with this number."""
    return f"shard-{number:06d}.tar"


class ShardWriter:
    """Writes a shard. ``path`` exists only after ``close``: a killed writer leaves a ``.part`` file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.posts = 0
        self._part = path.with_name(path.name + ".part")
        self._file: BinaryIO = self._part.open("wb")
        self._hash = hashlib.sha256()

    def write(self, record: PostRecord) -> None:
        """Append a post. Raises BadInput unless its ``extension`` is jpg, png or webp."""
        if record.extension not in EXTENSIONS:
            raise BadInput(
                f"post {record.post.id!r}: image extension {record.extension!r} is not one of {EXTENSIONS}"
            )
        key = record.post.key
        self._member(f"{key}.json", post_to_json(record.post))
        self._member(f"{key}.{record.extension}", record.image)
        self.posts += 1

    def close(self) -> ShardEntry:
        """Finish the tar, flush it to disk and rename it to its final name."""
        self._put(b"\0" * (2 * _BLOCK))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)
        return ShardEntry(name=self.path.name, posts=self.posts, sha256=self._hash.hexdigest())

    def abandon(self) -> None:
        """Delete the unfinished file."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _member(self, name: str, data: bytes) -> None:
        # TarInfo's defaults are fixed (mtime 0, mode 0644, uid 0, no names): the bytes depend on content only.
        header = tarfile.TarInfo(name)
        header.size = len(data)
        self._put(header.tobuf(format=tarfile.USTAR_FORMAT))
        self._put(data)
        self._put(b"\0" * (-len(data) % _BLOCK))

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)


def write_index(folder: Path, shards: list[ShardEntry], *, synthetic: bool) -> None:
    """Write ``index.json``, which completes the ``posts`` artifact."""
    index = PostsIndex(posts=sum(shard.posts for shard in shards), synthetic=synthetic, shards=tuple(shards))
    write_json(folder / INDEX_FILE, index)


def read_posts_index(folder: Path) -> PostsIndex:
    """Read ``index.json``. Raises BadInput if the folder is not a ``posts`` artifact."""
    return read_json(folder / INDEX_FILE, PostsIndex, remedy=_REMEDY, max_bytes=MAX_INDEX_BYTES)


@dataclass
class ShardIndex:
    """Random access to the posts of a folder of shards; post i is the i-th in order of shards.

    Opening reads ``index.json`` only; a shard's keys and member offsets (56 bytes a post) are read from its tar headers
    when it is first touched. No file stays open, so an index may be pickled, forked and shared by threads.

    Attributes
    ----------
    folder: where the shards lie.
    shards: one entry a shard, in order.
    starts: (n_shards + 1,) int64, index of the first post of each shard; the last is ``len``.
    synthetic: whether the posts are generated sample data.
    """

    folder: Path
    shards: tuple[ShardEntry, ...]
    starts: Offsets
    synthetic: bool
    _members: dict[int, tuple[bytes, Offsets]] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, folder: Path) -> ShardIndex:
        """Open a folder of shards. Raises BadInput if it is not a complete ``posts`` artifact."""
        index = read_posts_index(folder)
        for shard in index.shards:
            if not (Path(folder) / shard.name).is_file():
                raise BadInput(f"{folder}: no {shard.name}, which {INDEX_FILE} names: copy the folder whole")
        starts = np.cumsum([0, *(shard.posts for shard in index.shards)], dtype=np.int64)
        return cls(Path(folder), index.shards, starts, index.synthetic)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def keys(self, shard: int | None = None) -> list[str]:
        """Return the keys of the posts of a shard, or of all, in order."""
        if shard is None:
            return [key for number in range(len(self.shards)) for key in self.keys(number)]
        digits, length = self._members_of(shard)[0].hex(), _KEY_DIGITS
        return [digits[start : start + length] for start in range(0, len(digits), length)]

    def read_post(self, i: int) -> Post:
        """Read a post without its image."""
        shard, row = self._locate(i)
        offset, size = self._members_of(shard)[1][row, :2].tolist()
        return post_from_json(StoredMember(self.shards[shard].name, offset, size).read(self.folder))

    def read_image(self, i: int) -> bytes:
        """Read the encoded bytes of a post's image."""
        return self.stored_image(i).read(self.folder)

    def stored_image(self, i: int) -> StoredMember:
        """Return where a post's image lies."""
        shard, row = self._locate(i)
        _, _, offset, size, _ = self._members_of(shard)[1][row].tolist()
        return StoredMember(self.shards[shard].name, offset, size)

    def read_record(self, i: int) -> PostRecord:
        """Read a post with its image."""
        shard, row = self._locate(i)
        extension = EXTENSIONS[int(self._members_of(shard)[1][row, 4])]
        return PostRecord(self.read_post(i), self.read_image(i), extension)

    def iterate(self, shard: int | None = None) -> Iterator[PostRecord]:
        """Yield every post with its image, in order; of one shard, or of all."""
        for i in self._range(shard):
            yield self.read_record(i)

    def iterate_posts(self, shard: int | None = None) -> Iterator[Post]:
        """Yield every post without its image; image bytes are not read."""
        for number in range(len(self.shards)) if shard is None else (shard,):
            with (self.folder / self.shards[number].name).open("rb") as file:
                for offset, size in self._members_of(number)[1][:, :2].tolist():
                    file.seek(offset)
                    yield post_from_json(file.read(size))

    def _range(self, shard: int | None) -> range:
        if shard is None:
            return range(len(self))
        return range(int(self.starts[shard]), int(self.starts[shard + 1]))

    def _locate(self, i: int) -> tuple[int, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"post {i} of {len(self)}")
        shard = int(np.searchsorted(self.starts, i, side="right")) - 1
        return shard, i - int(self.starts[shard])

    def _members_of(self, shard: int) -> tuple[bytes, Offsets]:
        """Return the keys of a shard, 16 bytes each, and the positions of its members."""
        if shard not in self._members:
            entry = self.shards[shard]
            keys, offsets = scan_shard(self.folder / entry.name)
            if len(keys) != entry.posts:
                raise BadInput(
                    f"{entry.name}: {len(keys)} posts, the index says {entry.posts}: copy the folder whole"
                )
            self._members[shard] = bytes.fromhex("".join(keys)), offsets
        return self._members[shard]


def scan_shard(path: Path) -> tuple[list[str], Offsets]:
    """Return the keys of a shard and the positions of its members.

    Positions are (n_posts, 5) int64: json offset, json size, image offset, image size, extension (an index into
    ``EXTENSIONS``). Only headers are read. Raises BadInput for a tar that ``ShardWriter`` would not write: other
    names, links, a truncated end.
    """
    keys: list[str] = []
    rows: list[tuple[int, int, int, int, int]] = []
    length = path.stat().st_size
    with path.open("rb") as file:
        while (first := _next_member(file, path.name, length)) is not None:
            second = _next_member(file, path.name, length)
            key, kind, offset, size = first
            if second is None or kind != "json" or second[0] != key or second[1] == "json":
                raise BadInput(f"{path.name}: {key} is not a .json followed by its image: ingest again")
            keys.append(key)
            rows.append((offset, size, second[2], second[3], EXTENSIONS.index(second[1])))
    return keys, np.array(rows, dtype=np.int64).reshape(-1, 5)


def _next_member(file: BinaryIO, shard: str, length: int) -> tuple[str, str, int, int] | None:
    block = file.read(_BLOCK)
    if block == b"\0" * _BLOCK:
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise BadInput(f"{shard}: the tar breaks off or is damaged ({error}): ingest again") from error
    name = _MEMBER.fullmatch(header.name)
    offset = file.tell()
    if name is None or header.type != tarfile.REGTYPE or not 0 <= header.size <= length - offset:
        raise BadInput(f"{shard}: member {header.name!r} is not one that ingest writes: ingest again")
    file.seek(header.size + -header.size % _BLOCK, os.SEEK_CUR)
    return name[1], name[2], offset, header.size
