"""Pictures as PNG; heat maps as grey ones, so that a client can draw the overlay again without a forward pass."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from vise_core.errors import BadInput


def encode_heat(heat: npt.NDArray[np.floating]) -> bytes:
    """Return an (h, w) heat map in [0, 1] as an 8-bit grey PNG, 255 for 1.

    Colour maps have 256 steps, so 8 bits lose nothing visible. Raises BadInput if the heat is not finite.
    """
    if not np.isfinite(heat).all():
        raise BadInput("the heat map holds NaN or infinity and cannot be drawn: check the model's weights")
    return encode_png(Image.fromarray(np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8)))


def encode_png(image: Image.Image) -> bytes:
    """Return the image as PNG."""
    buffer = io.BytesIO()
    # Level 1: a heat map is 25 % larger than at the default level, a photograph a tenth, in a fifth of the time.
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def decode_heat(png: bytes) -> npt.NDArray[np.float32]:
    """Return the (h, w) float32 heat map of a PNG from ``encode_heat``, to within 1/510."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return np.asarray(picture.convert("L"), dtype=np.float32) / np.float32(255)
