"""Names and first bytes of image files: the one list that readers, surveys, tasks, the API and pages share."""

from __future__ import annotations

from typing import Final

IMAGE_SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".avif", ".heic", ".heif", ".hif"),
    }
)
"""Lower-case endings, with the dot, of files that are read as images. A file's content decides what it is."""


def is_image_name(name: str) -> bool:
    """Return True if a file name has the suffix of an image, in upper or lower case."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES if "." in name else False


IMAGE_KINDS: Final = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC")
"""What is read. MPO is JPEG, APNG is PNG."""

_MAGIC: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    *((mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"%PDF", "PDF"),
)
_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIF: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)


HEAD_BYTES: Final = 4096
"""How many of a file's first bytes say what kind of image it is."""


def image_kind(head: bytes) -> str | None:
    """Return the kind of image that a file's first bytes announce: of ``IMAGE_KINDS``, or one that is not read."""
    data = head[:HEAD_BYTES]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        # The major brand, then the compatible ones.
        end = min(int.from_bytes(data[:4], "big"), len(data))
        brands = {data[at : at + 4] for at in (8, *range(16, end - 3, 4))}
        return "AVIF" if brands & _AVIF else "HEIC" if brands & _HEIF else None
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
