"""The only place that decodes an untrusted image (method 7, trap 10)."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from vise_core.errors import BadImage

MAX_PIXELS: Final = 50_000_000
MAX_BYTES: Final = 64 * 2**20
MAX_SIDE: Final = 65_500
"""JPEG can hold no longer side."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
JPEG_QUALITY: Final = 90

_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "image_rotated"),
    3: (Image.Transpose.ROTATE_180, "image_rotated"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "image_rotated"),
    5: (Image.Transpose.TRANSPOSE, "image_rotated"),
    6: (Image.Transpose.ROTATE_270, "image_rotated"),
    7: (Image.Transpose.TRANSVERSE, "image_rotated"),
    8: (Image.Transpose.ROTATE_90, "image_rotated"),
}


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as a shard keeps it, and what had to be done to it (slugs that the report counts)."""

    data: bytes
    extension: str
    repairs: tuple[str, ...]


def open_image(source: bytes | Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an untrusted image to upright 8-bit RGB.

    Grey, palette, CMYK and 16-bit become RGB; transparency is laid on white; EXIF rotation is applied; of
    an animation the first frame is taken. Size is judged from the header, before any pixel is decoded.

    Raises
    ------
    BadImage, whose ``reason`` is one of: missing, empty, too_many_bytes, svg, html, not_an_image,
    too_large, truncated, broken, unsupported_mode.
    """
    image, _, _ = _decode(_read(source), max_pixels)
    return image


def store_image(source: bytes | Path, *, max_pixels: int, max_side: int) -> StoredImage:
    """Check an image and give the bytes to keep.

    A JPEG that is RGB already, upright, without EXIF (which may hold a place) and within ``max_side`` (of
    the shorter side) is kept byte for byte; all else becomes a JPEG of quality 90.

    Raises BadImage as ``open_image`` does.
    """
    data = _read(source)
    image, plain, repairs = _decode(data, max_pixels)
    scale = max_side / min(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        repairs = (*repairs, "image_scaled")
    elif plain:
        return StoredImage(data, "jpg", repairs)
    return StoredImage(encode_jpeg(image), "jpg", repairs)


def encode_jpeg(image: Image.Image) -> bytes:
    """JPEG bytes of an RGB image, quality 90, without any metadata."""
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


def _decode(data: bytes, max_pixels: int) -> tuple[Image.Image, bool, tuple[str, ...]]:
    """(upright RGB image, whether the bytes are a plain JPEG of just that, repairs)."""
    _refuse_markup(data)
    # Pillow's WebP reader allocates its canvas on opening, so its header is read here first.
    _check_size(_webp_size(data) or (1, 1), max_pixels)
    try:
        opened = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise BadImage(f"the image has too many pixels: {error}", "too_large") from error
    except UnidentifiedImageError as error:
        raise BadImage(
            f"not an image, or one that is damaged at its start; {', '.join(FORMATS)} are read",
            "not_an_image",
        ) from error
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise BadImage(f"the image's header cannot be read: {error}", "broken") from error
    _check_size(opened.size, max_pixels)
    # Before load: some decoders drop info once the pixels are there.
    orientation = _orientation(opened)
    try:
        animated = bool(getattr(opened, "is_animated", False))
        opened.seek(0)
        opened.load()
    except Image.DecompressionBombError as error:
        raise BadImage(f"the image has too many pixels: {error}", "too_large") from error
    except Exception as error:
        reason = "truncated" if "truncated" in str(error).lower() else "broken"
        raise BadImage(f"the image cannot be decoded, it is {reason}: {error}", reason) from error

    repairs: list[str] = []
    if animated and opened.format in ("GIF", "WEBP", "PNG", "TIFF"):
        repairs.append("image_first_frame")
    if opened.mode != "RGB":
        repairs.append("image_converted")
    try:
        image = _to_rgb(opened)
    except BadImage:
        raise
    except Exception as error:
        raise BadImage(
            f"an image of mode {opened.mode} has no RGB form: {error}", "unsupported_mode"
        ) from error
    if orientation in _UPRIGHT:
        transpose, repair = _UPRIGHT[orientation]
        image = image.transpose(transpose)
        repairs.append(repair)
    plain = (
        opened.format == "JPEG" and opened.mode == "RGB" and orientation == 1 and "exif" not in opened.info
    )
    if image is opened:
        # A plain image of the same pixels, without what the file said; a copy of them takes a third of the decoding.
        image = opened._new(opened.im)
    image.info.clear()
    return image, plain, tuple(repairs)


def _refuse_markup(data: bytes) -> None:
    """SVG and HTML can carry scripts: name them, so that the refusal is clear."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.startswith(b"<"):
        return
    if b"<svg" in head or b"<!doctype svg" in head:
        raise BadImage("SVG is not accepted; export it as PNG or JPEG", "svg")
    if b"<html" in head or b"<!doctype html" in head:
        raise BadImage("this is a web page, not an image", "html")
    raise BadImage("this is markup, not an image", "not_an_image")


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise BadImage(
            f"the image is {width} x {height} pixels; at most {max_pixels:,} pixels are decoded", "too_large"
        )
    if max(size) > MAX_SIDE:
        raise BadImage(f"the image is {width} x {height} pixels; no side may pass {MAX_SIDE:,}", "too_large")
    if min(size) < 1:
        raise BadImage("the image has no pixels", "broken")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Canvas size from a WebP header (RFC 9649), None for anything else."""
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    match data[12:16]:
        case b"VP8X":
            return (
                int.from_bytes(data[24:27], "little") + 1,
                int.from_bytes(data[27:30], "little") + 1,
            )
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # EXIF is often damaged; that is no reason to lose the picture
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey_to_rgb(image)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey to 8 bits: Pillow's own conversion would clip all above 255."""
    values = np.asarray(image, dtype=np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = 0.0, 65535.0
    if image.mode == "F" or values.min() < 0 or values.max() > high:
        # No fixed range is defined for these: stretch to what is there.
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8), mode="L").convert("RGB")
