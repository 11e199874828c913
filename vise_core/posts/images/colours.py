"""Convert colours to sRGB by the image's embedded ICC profile."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE_BYTES: Final = 4 * 2**20
"""Profiles of printers reach 3 MB."""
SAME: Final = 2
"""Levels by which a profile may differ from sRGB and still be taken for it."""

_SPACES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an 8-bit RGB, L, CMYK or LAB image to sRGB; an sRGB image is returned as it is.

    A profile that is damaged, or for another colour space than the image's, is ignored. Without a profile, RGB and
    grey are treated as sRGB, CMYK is converted with the plain formula, and L*a*b* has the D50 white point.
    """
    transform = _lab() if image.mode == "LAB" else None
    if transform is None and profile is not None and 128 <= len(profile) <= MAX_PROFILE_BYTES:
        transform = _transform(profile, image.mode)
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from the profile's colours to sRGB; None where none is needed or possible."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(opened.profile.xcolor_space.strip()) != mode:
            return None
        transform = _build(opened, mode)
        if mode in ("RGB", "L"):
            levels = np.linspace(0, 255, 9).astype(np.uint8)
            grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
            if mode == "L":
                grid = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
            probe = Image.fromarray(grid if mode == "RGB" else grid[..., 0])
            converted = ImageCms.applyTransform(probe, transform)
            if np.abs(np.asarray(converted).astype(int) - grid).max() <= SAME:
                return None
    except Exception:  # a profile may hold anything; that is no reason to lose the picture
        return None
    return transform


@lru_cache(maxsize=1)
def _lab() -> ImageCms.ImageCmsTransform:
    return _build(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _build(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
