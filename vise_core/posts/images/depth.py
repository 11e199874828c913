"""Convert images of more than 8 bits per sample to 8 bits.

White is 2 ** bits - 1 for whole numbers of 0 to 65535. ``bits`` is what the file declares (BitsPerSample,
MaxSampleValue or SMaxSampleValue of a TIFF, sBIT of a PNG) if no sample is larger; else the smallest of 8, 10, 12, 14
and 16 that holds the largest sample. Floats within 0 to 1 are scaled by 255. Everything else (other floats, negative
numbers, more than 16 bits) is stretched from its smallest to its largest finite value; NaN becomes the smallest.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from vise_core.errors import BadImage

BITS: Final = (8, 10, 12, 14, 16)
_BLOCK: Final = 2**20
"""Samples that are converted at a time, so that floats of a large picture take little memory."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_MAX_SAMPLE, _S_MIN_SAMPLE, _S_MAX_SAMPLE = 281, 340, 341

Samples = npt.NDArray[np.uint16]


def is_deep_grey(image: Image.Image) -> bool:
    """Return True for grey images of 16 or 32 bits, or of floats."""
    return image.mode.startswith("I") or image.mode == "F"


def grey_to_8_bits(image: Image.Image, data: bytes) -> tuple[Image.Image, Image.Image | None]:
    """Convert a deep grey image to (L, alpha or None).

    Raises BadImage (not_finite) where no pixel is a finite number.
    """
    tags = _tags(image)
    values: npt.NDArray[Any] = np.asarray(image)
    if image.mode == "I" and tags.get(_SAMPLE_FORMAT, (2,))[0] == 1:
        values = values.view(np.uint32)
    alpha = None
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    low, high = _range(values, tags)
    if np.issubdtype(values.dtype, np.integer) and low >= 0 and high <= 65535:
        bits = _bits(int(high), _declared_bits(tags, data))
        grey = _ramp(bits)[values.astype(np.uint16)]
    else:
        grey = _stretched(values, low, high)
    if tags.get(_PHOTOMETRIC, (1,))[0] == 0:  # White is zero; Pillow turns only 8 bits and fewer.
        grey = 255 - grey
    return Image.fromarray(grey), alpha


def deep_rawmode(image: Image.Image) -> str | None:
    """Return Pillow's raw mode of 16-bit colours, None for other images. Call it before the image is loaded."""
    rawmodes = {_rawmode(tile) for tile in getattr(image, "tile", ())}
    rawmode = rawmodes.pop() if len(rawmodes) == 1 else ""
    return rawmode if ";16" in rawmode and image.mode in ("RGB", "RGBA", "CMYK") else None


def read_deep_colours(image: Image.Image, rawmode: str, data: bytes) -> Samples:
    """Return the 16-bit samples of an image, (h, w, c) uint16; Pillow itself keeps the high bytes only.

    Loads ``image``. The file is decoded as big endian and as little endian, for the high and the low bytes.
    """
    if rawmode == "LA;16B":  # One pixel takes as many bytes as one of RGBA.
        planes = np.asarray(_load(image, "RGBA", "RGBA"))
        return _joined(planes[..., 0::2], planes[..., 1::2])
    layout, order = rawmode[:-1].replace("RGBa", "RGBA"), rawmode[-1]
    little = order == "L" or (order == "N" and struct.pack("=H", 1)[0] == 1)
    mode = "RGB" if layout.startswith("RGBX") else image.mode
    again = Image.open(io.BytesIO(data), formats=[image.format or ""])
    again.info.pop("xmp", None)
    # Of a little-endian file the high bytes are what its own order gives.
    high = np.asarray(_load(image, mode, layout + ("L" if little else "B")))
    low = np.asarray(_load(again, mode, layout + ("B" if little else "L")))
    return _joined(high, low)


def colours_to_8_bits(
    samples: Samples, image: Image.Image, rawmode: str, data: bytes
) -> tuple[Image.Image, Image.Image | None]:
    """Convert 16-bit samples to (RGB, L or CMYK image, alpha or None)."""
    has_alpha = rawmode.startswith(("LA", "RGBA", "RGBa"))
    colours = samples[..., :-1] if has_alpha else samples
    bits = _bits(int(colours.max(initial=0)), _declared_bits(_tags(image), data))
    scaled = _ramp(bits)[colours]
    alpha = None
    if has_alpha:
        opacity = samples[..., -1]
        alpha_8 = _ramp(bits if opacity.max(initial=0) < 2**bits else 16)[opacity]
        if rawmode.startswith("RGBa"):  # Colours were multiplied by their opacity.
            whole = np.maximum(alpha_8, 1)[..., None]
            scaled = np.minimum(scaled.astype(np.uint32) * 255 // whole, 255).astype(np.uint8)
        alpha = Image.fromarray(alpha_8)
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and len(clear) == colours.shape[-1]:
        alpha = Image.fromarray(np.where((colours == clear).all(axis=-1), 0, 255).astype(np.uint8))
    if scaled.shape[-1] == 1:
        return Image.fromarray(scaled[..., 0]), alpha
    return Image.fromarray(scaled, mode="CMYK" if image.mode == "CMYK" else "RGB"), alpha


def _joined(high: npt.NDArray[np.uint8], low: npt.NDArray[np.uint8]) -> Samples:
    samples = high.astype(np.uint16)
    samples <<= 8
    samples |= low
    return samples


def _load(image: Image.Image, mode: str, rawmode: str) -> Image.Image:
    """Decode the image as if its bytes were laid out as ``rawmode``."""
    tiles = getattr(image, "tile")  # noqa: B009  (only ImageFile has it)
    image._mode = mode
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *tile.args[1:]))
        for tile in tiles
    ]
    image.load()
    return image


def _rawmode(tile: Any) -> str:
    args = tile.args
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _tags(image: Image.Image) -> dict[int, tuple[Any, ...]]:
    tags = getattr(image, "tag_v2", None) or {}
    return {tag: value if isinstance(value, tuple) else (value,) for tag, value in tags.items()}


def _declared_bits(tags: dict[int, tuple[Any, ...]], data: bytes) -> int | None:
    """Return the bits per sample that the file declares, other than 16."""
    try:
        if (per_sample := max(tags.get(_BITS_PER_SAMPLE, (16,)))) < 16:
            return int(per_sample)
        for tag in (_MAX_SAMPLE, _S_MAX_SAMPLE):
            if tag in tags and 0 < (largest := max(tags[tag])) <= 65535:
                return int(largest).bit_length()
    except (TypeError, ValueError):
        return None
    return _significant_bits(data)


def _significant_bits(data: bytes) -> int | None:
    """Return the largest value of a PNG's sBIT chunk, which precedes its palette and pixels."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    at = 8
    while at + 8 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"sBIT":
            bits = max(data[at + 8 : at + 8 + length][:4], default=0)
            return bits if 1 <= bits <= 16 else None
        if name in (b"PLTE", b"IDAT"):
            return None
        at += 12 + length
    return None


def _bits(largest: int, declared: int | None) -> int:
    if declared is not None and largest < 2**declared:
        return declared
    return next(bits for bits in BITS if largest < 2**bits)


def _ramp(bits: int) -> npt.NDArray[np.uint8]:
    """Return the 8-bit level of each 16-bit sample, (65536,) uint8, where 2 ** bits - 1 is white."""
    levels = np.rint(np.arange(65536) * (255 / (2**bits - 1)))
    levels_8: npt.NDArray[np.uint8] = levels.clip(0, 255).astype(np.uint8)
    return levels_8


def _range(values: npt.NDArray[Any], tags: dict[int, tuple[Any, ...]]) -> tuple[float, float]:
    """Return the smallest and largest finite value, or the declared or usual range of floats."""
    if np.issubdtype(values.dtype, np.integer):
        return float(values.min()), float(values.max())
    low, high = np.inf, -np.inf
    for block in _blocks(values):
        finite = block[np.isfinite(block)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise BadImage("no pixel of the image is a finite number", "not_finite")
    declared = (tags.get(_S_MIN_SAMPLE, (None,))[0], tags.get(_S_MAX_SAMPLE, (None,))[0])
    if all(isinstance(side, (int, float)) and np.isfinite(side) for side in declared):
        said_low, said_high = float(declared[0]), float(declared[1])  # type: ignore[arg-type]
        if said_low <= low and high <= said_high and said_low < said_high:
            return said_low, said_high
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _stretched(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Map ``low`` to ``high`` onto 0 to 255; all 0 where both are equal."""
    levels = np.empty(values.size, dtype=np.uint8)
    at = 0
    # Half of each first: the difference of two large floats may not be one.
    width = high / 2 - low / 2
    for block in _blocks(values):
        halves = block.astype(np.float64) / 2 - low / 2
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.nan_to_num(
                halves / width * 255 if width > 0 else halves * 0, nan=0, posinf=255, neginf=0
            )
        levels[at : at + block.size] = np.rint(scaled).clip(0, 255)
        at += block.size
    return levels.reshape(values.shape)


def _blocks(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK]
