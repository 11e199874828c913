"""Overlays: a heat map in colour over the image that it explains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from vise_core.errors import BadInput
from vise_core.specs.explain import COLOUR_MAP, ColourMap


class Box(NamedTuple):
    """A region of an image in its own pixels; sides need not fall on whole pixels."""

    left: float
    top: float
    right: float
    bottom: float


def colour(heat: npt.NDArray[np.floating], colour_map: ColourMap = COLOUR_MAP) -> npt.NDArray[np.uint8]:
    """Return the colours of an (h, w) heat map in [0, 1], (h, w, 3) uint8, dark for 0 and light for 1.

    Raises BadInput if the heat is not finite.
    """
    from matplotlib import colormaps  # imported here, since it is slow and not every caller draws

    if not np.isfinite(heat).all():
        raise BadInput("the heat map holds NaN or infinity and cannot be drawn: check the model's weights")
    # As matplotlib picks them, which would make 4 numbers of float64 of each pixel: gigabytes of a large image.
    table = colormaps[colour_map](np.arange(colormaps[colour_map].N))[:, :3]
    places = (np.clip(heat, 0, 1) * len(table)).astype(np.uint16)
    np.minimum(places, len(table) - 1, out=places)
    colours: npt.NDArray[np.uint8] = np.rint(255 * table).astype(np.uint8)[places]
    return colours


def seen_region(size: tuple[int, int], resize: int, crop: int) -> Box:
    """Return the part of a (width, height) image that the eval transform shows to the network.

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
    image: Image.Image,
    heat: npt.NDArray[np.floating],
    strength: float = 0.5,
    region: Box | None = None,
    colour_map: ColourMap = COLOUR_MAP,
) -> Image.Image:
    """Return the image tinted by a heat map, in the image's own size.

    Parameters
    ----------
    heat: (h, w) in [0, 1].
    strength: opacity of the tint: 0 leaves the image, 1 hides it.
    region: where the heat lies, by default the whole image; the rest, which the network did not see, is not tinted.
    """
    box = Box(0, 0, *image.size) if region is None else region
    left, top, right, bottom = (round(v) for v in box)
    size = (max(1, right - left), max(1, bottom - top))
    grown = Image.fromarray(np.asarray(heat, dtype=np.float32)).resize(size, Image.Resampling.BILINEAR)
    tint = Image.fromarray(colour(np.asarray(grown), colour_map))
    result = image.convert("RGB")
    seen = result.crop((left, top, left + size[0], top + size[1]))
    result.paste(Image.blend(seen, tint, float(np.clip(strength, 0, 1))), (left, top))
    return result
