"""What is kept of an image to compare it with others: SHA-256 of its file, a small picture, and its hashes.

About 3.5 KB an image. Made once, by several processes, and kept in a file whose name is the content's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from threadpoolctl import threadpool_limits

from vise_core.errors import BadImage
from vise_core.files.hashing import file_sha256
from vise_core.formats.posts import ShardIndex
from vise_core.posts.images.decode import MAX_BYTES, open_image

from .perceptual_hashes import SIDE, WINDOWS, Bits, Thumbs, hash_views
from .verify import MIN_CONTRAST, TINY, contrast

DIGEST_BYTES = 32
_CHUNK = 512

T = TypeVar("T")
Told = Callable[[int], None]
"""Called with the number of images done since the last call; may raise to stop."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """n images.

    Attributes
    ----------
    digests: (n, 32) uint8, SHA-256 of the file's bytes.
    thumbs: (n, SIDE, SIDE, 3) uint8; zeros where the file is no image that can be read.
    bits: (n, n_views, 3) uint64, see ``hashing``.
    readable: (n,) bool.
    comparable: (n,) bool, readable and not so even that it shows nothing; others are compared by content only.
    tiny: (n,) bool, of so few pixels that a copy may differ more.
    """

    digests: npt.NDArray[np.uint8]
    thumbs: Thumbs
    bits: Bits
    readable: npt.NDArray[np.bool_]
    comparable: npt.NDArray[np.bool_]
    tiny: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, rows: npt.NDArray[np.int64]) -> Fingerprints:
        """Those rows, in that order."""
        return Fingerprints(*(getattr(self, field.name)[rows] for field in fields(self)))

    def by_content_only(self) -> Fingerprints:
        """The same images, none of which is compared by its looks."""
        return replace(self, comparable=np.zeros(len(self), dtype=bool))

    def keys(self) -> list[bytes]:
        """The digests as bytes."""
        return [row.tobytes() for row in self.digests]


def joined(parts: Sequence[Fingerprints]) -> Fingerprints:
    """All parts one behind the other."""
    if not parts:
        return _finish([])
    return Fingerprints(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Fingerprints)))


class Look(NamedTuple):
    """One image: SHA-256 of the file, the small picture and the shorter side; None and 0 where it cannot be read."""

    digest: bytes
    thumb: Thumbs | None = None
    side: int = 0


def look_at(source: bytes | Path) -> Look:
    """Read and decode one image. What is no image that can be read has a digest only."""
    if isinstance(source, Path):
        if source.stat().st_size > MAX_BYTES:
            return Look(bytes.fromhex(file_sha256(source)))
        source = source.read_bytes()
    digest = hashlib.sha256(source).digest()
    try:
        image = open_image(source)
    except BadImage:
        return Look(digest)
    return Look(digest, thumbnail(image), min(image.size))


def thumbnail(image: Image.Image) -> Thumbs:
    """(SIDE, SIDE, 3) uint8 of an RGB image, whatever its shape."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=4.0)
    return np.asarray(small, dtype=np.uint8)


def fingerprint_files(paths: Sequence[Path], *, processes: int = 1, told: Told | None = None) -> Fingerprints:
    """Fingerprints of image files, in their order."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    return _in_processes(_files, chunks, [len(c) for c in chunks], processes, told)


def fingerprint_shard(
    posts: Path, shard: int, *, processes: int = 1, told: Told | None = None
) -> Fingerprints:
    """Fingerprints of the images of one shard of posts, in its order."""
    index = ShardIndex.open(posts)
    start, stop = int(index.starts[shard]), int(index.starts[shard + 1])
    chunks = [range(first, min(first + _CHUNK, stop)) for first in range(start, stop, _CHUNK)]
    return _in_processes(partial(_posts, posts), chunks, [len(c) for c in chunks], processes, told)


def _files(paths: Sequence[Path]) -> Fingerprints:
    return _finish([look_at(path) for path in paths])


def _posts(folder: Path, rows: range) -> Fingerprints:
    index = ShardIndex.open(folder)
    return _finish([look_at(index.read_image(i)) for i in rows])


def _finish(looks: Sequence[Look]) -> Fingerprints:
    blank = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    thumbs = np.array([blank if look.thumb is None else look.thumb for look in looks], dtype=np.uint8)
    thumbs = thumbs.reshape(-1, SIDE, SIDE, 3)
    readable = np.array([look.thumb is not None for look in looks], dtype=bool)
    with threadpool_limits(limits=1):
        bits = hash_views(thumbs) if len(thumbs) else np.empty((0, len(WINDOWS), 3), dtype=np.uint64)
    return Fingerprints(
        digests=np.frombuffer(b"".join(look.digest for look in looks), np.uint8).reshape(-1, DIGEST_BYTES),
        thumbs=thumbs,
        bits=bits,
        readable=readable,
        comparable=readable & (contrast(thumbs) >= MIN_CONTRAST),
        tiny=np.array([look.side < TINY for look in looks], dtype=bool),
    )


def _in_processes(
    make: Callable[[T], Fingerprints],
    chunks: Sequence[T],
    sizes: Sequence[int],
    processes: int,
    told: Told | None,
) -> Fingerprints:
    parts = []
    with _mapper(min(processes, len(chunks))) as apply:
        for part, size in zip(apply(make, chunks), sizes, strict=True):
            parts.append(part)
            if told is not None:
                told(size)
    return joined(parts)


@contextmanager
def _mapper(processes: int) -> Iterator[Callable[..., Iterator[Fingerprints]]]:
    if processes <= 1:
        yield map
        return
    # spawn, not fork: the caller may hold threads and database connections.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            yield pool.map
        finally:
            pool.shutdown(cancel_futures=True)
