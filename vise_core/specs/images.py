"""Names of image files: the one list that readers, surveys, tasks and pages share."""

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
    """Whether a file's name ends as an image's does, in any case."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES if "." in name else False
