"""Judge from its header whether decoding an image is cheap, without opening it."""

from __future__ import annotations

from typing import Final

from .headers import webp_size

PIXELS: Final = 16_000_000
"""Of one image. Pillow holds at most four copies of them, of four bytes a pixel."""
PIXEL_SCANS: Final = 160_000_000
"""Pixels times scans of a JPEG: each scan of a progressive file passes over all of them."""
_MOST_SEGMENTS: Final = 2000
"""Pillow reads segments and chunks one by one, in Python."""
_PNG_HEADER: Final = 33
"""Bytes of a PNG's signature and of its first chunk."""


def is_ordinary(data: bytes) -> bool:
    """Return True for a JPEG, an 8-bit PNG or a still WebP that is decoded within 512 MB and about a second."""
    if data.startswith(b"\xff\xd8\xff"):
        return _ordinary_jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _ordinary_png(data)
    size = webp_size(data)
    if size is None:
        return False
    animated = data[12:16] == b"VP8X" and bool(data[20] & 2)
    return not animated and size[0] * size[1] <= PIXELS


def _ordinary_png(data: bytes) -> bool:
    if data[12:16] != b"IHDR" or len(data) < _PNG_HEADER or data[24] > 8:
        return False
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    at = 8
    for _ in range(_MOST_SEGMENTS):
        if at >= len(data) or data[at + 4 : at + 8] == b"IEND":
            return width * height <= PIXELS
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _ordinary_jpeg(data: bytes) -> bool:
    at, pixels, components, progressive = 2, 0, b"", False
    for _ in range(_MOST_SEGMENTS):
        marker, length = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xff\xda":
            # A scan of all components is the only one, but in a progressive file. FF DA begins the others.
            several = progressive or data[at + 4 : at + 5] != components
            scans = data.count(b"\xff\xda", at) if several else 1
            return 0 < pixels <= PIXELS and pixels * scans <= PIXEL_SCANS
        if len(marker) < 2 or marker[0] != 0xFF or length < 2:
            return False
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (5, 7))
            # One frame; baseline, extended or progressive; of Huffman codes.
            components, progressive = data[at + 9 : at + 10], marker[1] == 0xC2
            if pixels or marker[1] > 0xC2 or components not in (b"\1", b"\3"):
                return False
            pixels = width * height
        at += 2 + length
    return False
