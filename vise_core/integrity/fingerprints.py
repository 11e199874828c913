"""Fingerprints of images for finding copies: SHA-256 of the file, a thumbnail, and perceptual hashes.

About 3.5 KB per image, computed by an engine and cached (``cache``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from threadpoolctl import threadpool_limits

from vise_core.engine import Engine, Inline
from vise_core.errors import BadImage
from vise_core.files.hashing import file_sha256
from vise_core.formats.posts import ShardIndex
from vise_core.posts.images.decode import MAX_BYTES, open_image

from .perceptual_hashes import SIDE, WINDOWS, Bits, Thumbs, hash_views
from .verify import MIN_CONTRAST, TINY, contrast

DIGEST_BYTES = 32
_CHUNK = 512

T = TypeVar("T")
OnProgress = Callable[[int], None]
"""Called with the number of images done since the last call; may raise to stop."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Fingerprints of n images.

    Attributes
    ----------
    digests: (n, 32) uint8, SHA-256 of the file's bytes.
    thumbs: (n, SIDE, SIDE, 3) uint8; zeros if the image cannot be decoded.
    bits: (n, n_views, 3) uint64, see ``perceptual_hashes``.
    readable: (n,) bool, True if the image can be decoded.
    comparable: (n,) bool, True if readable and of enough contrast; other images are compared by their bytes only.
    tiny: (n,) bool, True if the image has so few pixels that a copy may differ more.
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
        """Return the fingerprints of some rows, (n,) int64, in their order."""
        return Fingerprints(*(getattr(self, field.name)[rows] for field in fields(self)))

    def by_content_only(self) -> Fingerprints:
        """Return the fingerprints with ``comparable`` False everywhere."""
        return replace(self, comparable=np.zeros(len(self), dtype=bool))

    def keys(self) -> list[bytes]:
        """Return the digests as bytes."""
        return [row.tobytes() for row in self.digests]


def joined(parts: Sequence[Fingerprints]) -> Fingerprints:
    """Concatenate fingerprints."""
    if not parts:
        return _finish([])
    return Fingerprints(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Fingerprints)))


class DecodedImage(NamedTuple):
    """The SHA-256, thumbnail and shorter side of an image file; None and 0 if it cannot be decoded."""

    digest: bytes
    thumb: Thumbs | None = None
    side: int = 0


def decode_image(source: bytes | Path) -> DecodedImage:
    """Read and decode one image; a file that cannot be decoded has a digest only."""
    if isinstance(source, Path):
        if source.stat().st_size > MAX_BYTES:
            return DecodedImage(bytes.fromhex(file_sha256(source)))
        source = source.read_bytes()
    digest = hashlib.sha256(source).digest()
    try:
        image = open_image(source)
    except BadImage:
        return DecodedImage(digest)
    return DecodedImage(digest, thumbnail(image), min(image.size))


def thumbnail(image: Image.Image) -> Thumbs:
    """Return an RGB image of any shape scaled to (SIDE, SIDE, 3) uint8."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=4.0)
    return np.asarray(small, dtype=np.uint8)


def fingerprint_files(
    paths: Sequence[Path], *, engine: Engine = Inline(), on_progress: OnProgress | None = None
) -> Fingerprints:
    """Compute the fingerprints of image files, in order."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    return _in_chunks(_files, chunks, engine, on_progress)


def fingerprint_shard(
    posts: Path, shard: int, *, engine: Engine = Inline(), on_progress: OnProgress | None = None
) -> Fingerprints:
    """Compute the fingerprints of the images of one shard of posts, in order."""
    index = ShardIndex.open(posts)
    start, stop = int(index.starts[shard]), int(index.starts[shard + 1])
    chunks = [range(first, min(first + _CHUNK, stop)) for first in range(start, stop, _CHUNK)]
    return _in_chunks(partial(_posts, posts), chunks, engine, on_progress)


def _files(paths: Sequence[Path]) -> Fingerprints:
    return _finish([decode_image(path) for path in paths])


def _posts(folder: Path, rows: range) -> Fingerprints:
    index = ShardIndex.open(folder)
    return _finish([decode_image(index.read_image(i)) for i in rows])


def _finish(images: Sequence[DecodedImage]) -> Fingerprints:
    blank = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    thumbs = np.array([blank if image.thumb is None else image.thumb for image in images], dtype=np.uint8)
    thumbs = thumbs.reshape(-1, SIDE, SIDE, 3)
    readable = np.array([image.thumb is not None for image in images], dtype=bool)
    with threadpool_limits(limits=1):
        bits = hash_views(thumbs) if len(thumbs) else np.empty((0, len(WINDOWS), 3), dtype=np.uint64)
    return Fingerprints(
        digests=np.frombuffer(b"".join(image.digest for image in images), np.uint8).reshape(-1, DIGEST_BYTES),
        thumbs=thumbs,
        bits=bits,
        readable=readable,
        comparable=readable & (contrast(thumbs) >= MIN_CONTRAST),
        tiny=np.array([image.side < TINY for image in images], dtype=bool),
    )


def _in_chunks(
    make: Callable[[T], Fingerprints], chunks: Sequence[T], engine: Engine, on_progress: OnProgress | None
) -> Fingerprints:
    parts: dict[int, Fingerprints] = {}
    for number, part in engine.finished(
        partial(_numbered, make), list(enumerate(chunks)), lambda chunk: f"images from {_CHUNK * chunk[0]}"
    ):
        parts[number] = part
        if on_progress is not None:
            on_progress(len(part))
    return joined([parts[number] for number in range(len(chunks))])


def _numbered(make: Callable[[T], Fingerprints], chunk: tuple[int, T]) -> tuple[int, Fingerprints]:
    return chunk[0], make(chunk[1])
