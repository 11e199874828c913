"""Small square pictures of posts, and strips of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from vise_core.errors import BadImage
from vise_core.posts.images.decode import encode_jpeg, open_image

UNREADABLE = (200, 200, 200)


def small_jpeg(data: bytes, side: int) -> bytes:
    """Return the image's central square as a (side, side) JPEG, plain grey if the image cannot be decoded."""
    try:
        image = ImageOps.fit(open_image(data), (side, side), Image.Resampling.LANCZOS)
    except BadImage:
        image = Image.new("RGB", (side, side), UNREADABLE)
    return encode_jpeg(image)


def write_strip(path: Path, pictures: Sequence[bytes], side: int) -> None:
    """Write n JPEGs from ``small_jpeg`` side by side as one JPEG of (side · n, side)."""
    strip = Image.new("RGB", (side * len(pictures), side))
    for number, data in enumerate(pictures):
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            strip.paste(picture, (number * side, 0))
    path.write_bytes(encode_jpeg(strip))
