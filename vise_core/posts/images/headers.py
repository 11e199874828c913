"""Read the size, bit depth and orientation from the headers of image files."""

from __future__ import annotations

import struct
from typing import Final

from PIL import Image

UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets an image of this EXIF orientation upright; any other number says nothing."""

_ORIENTATION: Final = 0x0112
_BITS_PER_SAMPLE, _PLANAR = 258, 284


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the canvas size of a WebP header (RFC 9649), None for anything else."""
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


def png_grey_bits(data: bytes) -> int:
    """Return the bits per sample of a grey PNG, 8 for anything else."""
    return data[24] if data[:8] == b"\x89PNG\r\n\x1a\n" and data[25:26] == b"\0" else 8


def exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded image, 1 where it has none.

    XMP is ignored, as browsers do; Pillow's ``getexif`` falls back to it.
    """
    raw = image.info.get("exif")
    profile = image.info.get("Raw profile type exif")
    try:
        if raw is None and isinstance(profile, str):  # ImageMagick's way before PNG had a chunk for it.
            raw = bytes.fromhex("".join(profile.split("\n")[3:]))
        if not isinstance(raw, bytes):
            return 1
        exif = Image.Exif()
        exif.load(raw)
        return int(exif.get(_ORIENTATION, 1))
    except Exception:  # EXIF is often damaged; that is no reason to lose the picture
        return 1


def tiff_orientation(image: Image.Image) -> int:
    """Return the orientation tag of a TIFF that is not loaded yet, 1 for anything else."""
    value = getattr(image, "tag_v2", {}).get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def has_deep_planes(image: Image.Image) -> bool:
    """Return True for a TIFF with separate colour planes of more than 8 bits per sample."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    return tags.get(_PLANAR) == 2 and isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8
