"""Pictures of two images side by side, for people to judge a pair."""

from __future__ import annotations

from PIL import Image

BOX = 160
GAP = 6


def pair_strip(first: Image.Image, second: Image.Image) -> Image.Image:
    """Return both whole images side by side on white, RGB of size (2 · BOX + 3 · GAP, BOX + 2 · GAP)."""
    strip = Image.new("RGB", (2 * BOX + 3 * GAP, BOX + 2 * GAP), "white")
    for number, image in enumerate((first, second)):
        scale = BOX / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = image.resize(size, Image.Resampling.LANCZOS)
        left = GAP + number * (BOX + GAP) + (BOX - size[0]) // 2
        strip.paste(small, (left, GAP + (BOX - size[1]) // 2))
    return strip
