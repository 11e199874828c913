"""Decode the bytes of an image to upright 8-bit sRGB, whatever they cost; ``decode`` bounds the cost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from vise_core.errors import BadImage
from vise_core.specs.posts.images import HEAD_BYTES, IMAGE_KINDS, image_kind

from .colours import to_srgb
from .depth import (
    colours_to_8_bits,
    deep_rawmode,
    grey_to_8_bits,
    is_deep_grey,
    read_deep_colours,
)
from .headers import (
    UPRIGHT,
    exif_orientation,
    has_deep_planes,
    png_grey_bits,
    tiff_orientation,
    webp_size,
)

MAX_SIDE: Final = 65_500
"""JPEG can hold no longer side."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What Pillow opens. It reads MPO as JPEG and APNG as PNG; HEIC goes to pillow-heif."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image; ``plain`` says that the file is a JPEG of exactly these pixels."""

    image: Image.Image
    plain: bool
    repairs: tuple[str, ...]


def decode_pixels(data: bytes, max_pixels: int) -> Decoded:
    """Decode an image file of at most ``max_pixels`` pixels. Raises BadImage if it cannot be decoded."""
    _refuse_markup(data)
    # Pillow's WebP reader allocates its canvas on opening, so its header is read here first.
    _check_size(webp_size(data) or (1, 1), max_pixels)
    opened = _opened(data)
    _check_size(opened.size, max_pixels)
    kind, mode = opened.format or "", opened.mode
    several = bool(getattr(opened, "is_animated", False))
    # Pillow turns a TIFF while it loads it, by XMP too where it has no tag.
    turned = tiff_orientation(opened)
    if kind == "TIFF":
        opened.info.pop("xmp", None)
    with _decoding():
        if kind != "HEIF":  # There the primary image is chosen already, and need not be the first.
            opened.seek(0)
        rawmode = deep_rawmode(opened)
        samples = read_deep_colours(opened, rawmode, data) if rawmode else None
        opened.load()
    _check_size(opened.size, max_pixels)
    with _converting(mode):
        if samples is not None and rawmode is not None:
            colours, alpha = colours_to_8_bits(samples, opened, rawmode, data)
        elif is_deep_grey(opened):
            colours, alpha = grey_to_8_bits(opened, data)
        else:
            colours, alpha = _split_alpha(opened, data)
        profile = opened.info.get("icc_profile")
        if kind not in ("TIFF", "HEIF"):
            turned = exif_orientation(opened)
        if colours is not opened:
            opened.im = None  # type: ignore[assignment]  # its memory, before more is taken
        image = to_srgb(colours, profile if isinstance(profile, bytes) else None)
        profiled = colours.mode == "RGB" and image is not colours
        if alpha is not None:
            white = Image.new("RGB", image.size, (255, 255, 255))
            white.paste(image, mask=alpha)
            image = white
    if kind not in ("TIFF", "HEIF") and turned in UPRIGHT:
        image = image.transpose(UPRIGHT[turned])
    if image is opened:
        # A plain image of the same pixels, without what the file said; a copy of them takes a third of the decoding.
        image = opened._new(opened.im)
    image.info.clear()
    converted = mode != "RGB" or samples is not None or alpha is not None
    repairs = {
        "image_first_frame": several,
        "image_converted": converted,
        "image_colours_converted": profiled,
        "image_rotated": turned in UPRIGHT,
    }
    plain = kind in ("JPEG", "MPO") and not converted and not profiled and turned not in UPRIGHT
    return Decoded(image, plain, tuple(repair for repair, done in repairs.items() if done))


def _opened(data: bytes) -> Image.Image:
    """Open an image and read its header; no pixel is decoded yet."""
    try:
        if image_kind(data[:HEAD_BYTES]) == "HEIC":
            # Constructed by itself: pillow-heif's own way would register it for all of this process.
            from pillow_heif import HeifImageFile

            opened: Image.Image = HeifImageFile(io.BytesIO(data))
        else:
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise BadImage(f"the image has too many pixels: {error}", "too_large") from error
    except (UnidentifiedImageError, SyntaxError) as error:
        if (kind := image_kind(data[:HEAD_BYTES])) is not None:
            raise BadImage(
                f"a {kind} file that is damaged at its start, or of a form that is not read; save it as PNG or JPEG",
                "unsupported",
            ) from error
        raise BadImage(f"not an image; {', '.join(IMAGE_KINDS)} are read", "not_an_image") from error
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise BadImage(f"the image's header cannot be read: {error}", "broken") from error
    if has_deep_planes(opened):
        # Pillow reads the first bytes of such planes as if they were of 8 bits.
        raise BadImage("a TIFF with a plane of 16 bits for each colour; save it as PNG", "unsupported")
    return opened


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise BadImage(f"the image has too many pixels: {error}", "too_large") from error
    except Exception as error:
        reason = "truncated" if "truncated" in str(error).lower() else "broken"
        raise BadImage(f"the image cannot be decoded, it is {reason}: {error}", reason) from error


@contextmanager
def _converting(mode: str) -> Iterator[None]:
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except Exception as error:
        raise BadImage(f"an image of mode {mode} has no RGB form: {error}", "unsupported_mode") from error


def _refuse_markup(data: bytes) -> None:
    """Raise BadImage for SVG and HTML, which can carry scripts."""
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


def _split_alpha(image: Image.Image, data: bytes) -> tuple[Image.Image, Image.Image | None]:
    """Split an 8-bit image into (RGB, L, CMYK or LAB image, alpha or None)."""
    clear = image.info.get("transparency")
    if image.mode in ("1", "L") and isinstance(clear, int):
        # In units of the file's own bits, of which Pillow has made 8.
        bits = png_grey_bits(data)
        level = clear if bits == 8 else round(clear * 255 / (2**bits - 1)) if image.mode == "L" else clear
        grey = image.convert("L")
        return grey, Image.fromarray(np.where(np.asarray(grey) == level, 0, 255).astype(np.uint8))
    if "A" in image.mode.replace("LAB", "") or "a" in image.mode or clear is not None:
        plain = image.convert("LA") if image.mode == "La" else image
        rgba = plain if plain.mode == "RGBA" and clear is None else plain.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in ("RGB", "L", "CMYK", "LAB"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None
