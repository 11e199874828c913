"""A heat map in colour over the picture that it explains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

INFERNO = [
    "000004",
    "0b0724",
    "210c4a",
    "3d0965",
    "57106e",
    "71196e",
    "8a226a",
    "a32c61",
    "bc3754",
    "d24644",
    "e45a31",
    "f1731d",
    "f98e09",
    "fcac11",
    "f9cb35",
    "f2ea69",
    "fcffa4",
]
"""Seventeen even steps of matplotlib's inferno (CC0): lightness rises evenly, so it reads without colour too."""


class Box(NamedTuple):
    """A region of an image in its own pixels; sides need not fall on whole pixels."""

    left: float
    top: float
    right: float
    bottom: float


def colour(heat: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """(h, w) in [0, 1] → (h, w, 3) uint8: dark purple for 0, pale yellow for 1."""
    steps = np.array([[int(step[i : i + 2], 16) for i in (0, 2, 4)] for step in INFERNO], dtype=np.float64)
    at = np.linspace(0, 1, len(steps))
    values = np.clip(np.nan_to_num(heat), 0, 1)
    return np.stack([np.interp(values, at, steps[:, k]) for k in range(3)], axis=-1).round().astype(np.uint8)


def seen_region(size: tuple[int, int], resize: int, crop: int) -> Box:
    """The part of a (width, height) image that the evaluation transform shows to the network.

    The transform scales the shorter side to ``resize`` and cuts the central ``crop`` square.
    """
    width, height = size
    shorter = min(size)
    scaled = [int(resize * side / shorter) for side in size]  # as torchvision rounds
    side = min(crop, *scaled)
    left, top = (int(round((length - side) / 2.0)) for length in scaled)
    x, y = width / scaled[0], height / scaled[1]
    return Box(left * x, top * y, (left + side) * x, (top + side) * y)


def overlay(
    image: Image.Image, heat: npt.NDArray[np.floating], strength: float = 0.5, region: Box | None = None
) -> Image.Image:
    """The image tinted by heat, in the image's own size.

    ``heat`` (h, w) in [0, 1] lies over ``region``, the whole image by default. What is outside was not seen by
    the network and stays as it is. ``strength`` is the tint's opacity: 0 leaves the image, 1 hides it.
    """
    box = Box(0, 0, *image.size) if region is None else region
    left, top, right, bottom = (round(v) for v in box)
    size = (max(1, right - left), max(1, bottom - top))
    grown = Image.fromarray(np.asarray(heat, dtype=np.float32)).resize(size, Image.Resampling.BILINEAR)
    tint = Image.fromarray(colour(np.asarray(grown)))
    below = image.convert("RGB")
    under = below.crop((left, top, left + size[0], top + size[1]))
    result = below.copy()
    result.paste(Image.blend(under, tint, float(np.clip(strength, 0, 1))), (left, top))
    return result
