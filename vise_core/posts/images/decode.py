"""Decode untrusted images; no other module opens them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from vise_core.errors import BadImage

from .helper import decode_limited
from .jpeg_segments import strip_jpeg
from .ordinary import is_ordinary
from .pixels import Decoded, decode_pixels

MAX_PIXELS: Final = 50_000_000
MAX_BYTES: Final = 64 * 2**20
DECODING: Final = 2
"""To be raised when the pixels of any file change: what is kept of pixels between runs is named by it."""
JPEG_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as a shard stores it, and the repairs that were made (slugs for the report)."""

    data: bytes
    extension: str
    repairs: tuple[str, ...]


def open_image(source: bytes | Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an untrusted image to upright 8-bit sRGB.

    Grey, palette, CMYK, L*a*b* and deeper samples become RGB (``depth`` has the rule for more than 8 bits); colours
    with an ICC profile become sRGB; transparency is laid on white; of several frames the first is taken, of a HEIC the
    primary one. The image is turned as EXIF says, or as a TIFF's own tag, or as the container of AVIF and HEIC says,
    whose EXIF does not count; XMP never does. Size is judged from the header, before any pixel is decoded. An image
    whose header does not show that decoding is cheap is decoded in a helper process, within 512 MB and 5 s.

    Raises
    ------
    BadImage, whose ``reason`` is one of: missing, empty, too_many_bytes, svg, html, not_an_image, unsupported,
    too_large, too_costly, truncated, broken, not_finite, unsupported_mode.
    """
    return _decoded(_read(source), max_pixels).image


def store_image(source: bytes | Path, *, max_pixels: int, max_side: int) -> StoredImage:
    """Check an image and return the bytes to store, without metadata.

    A JPEG that is RGB already, upright, sRGB and within ``max_side`` (of the shorter side) keeps its pixels exactly:
    only the segments that they need are kept. All else becomes a JPEG of quality 90.

    Raises BadImage as ``open_image`` does.
    """
    data = _read(source)
    decoded = _decoded(data, max_pixels)
    image, repairs = decoded.image, decoded.repairs
    scale = max_side / min(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        repairs = (*repairs, "image_scaled")
    elif decoded.plain and (stripped := strip_jpeg(data)) is not None:
        if stripped != data:
            repairs = (*repairs, "image_metadata_removed")
        return StoredImage(stripped, "jpg", repairs)
    return StoredImage(encode_jpeg(image), "jpg", repairs)


def encode_jpeg(image: Image.Image) -> bytes:
    """Encode an RGB image as JPEG of quality 90 without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _read(source: bytes | Path) -> bytes:
    if isinstance(source, bytes):
        size = len(source)
    else:
        # A folder, a pipe or a device would block or fail later: only plain files are read.
        if not source.is_file():
            raise BadImage(f"{source.name}: no such image file", "missing")
        size = source.stat().st_size
    if size == 0:
        raise BadImage("the image file is empty", "empty")
    if size > MAX_BYTES:
        raise BadImage(
            f"the image file has {size:,} bytes; at most {MAX_BYTES:,} are read: make it smaller",
            "too_many_bytes",
        )
    return source if isinstance(source, bytes) else source.read_bytes()


def _decoded(data: bytes, max_pixels: int) -> Decoded:
    if is_ordinary(data):
        return decode_pixels(data, max_pixels)
    return decode_limited(data, max_pixels)
