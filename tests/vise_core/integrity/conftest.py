import io
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from PIL import Image, ImageOps

from vise_core.posts.images import encode_jpeg
from vise_core.posts.sample import generate_post


def saved(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _cut(left: float, top: float, right: float, bottom: float) -> Callable[[Image.Image, Random], bytes]:
    """A JPEG of the image without these shares of its sides."""

    def copy(image: Image.Image, rng: Random) -> bytes:
        width, height = image.size
        box = (
            round(left * width),
            round(top * height),
            width - round(right * width),
            height - round(bottom * height),
        )
        return saved(image.crop(box))

    return copy


def _scaled(x: float, y: float) -> Callable[[Image.Image, Random], bytes]:
    def copy(image: Image.Image, rng: Random) -> bytes:
        size = (round(image.width * x), round(image.height * y))
        return saved(image.resize(size, rng.choice([Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])))

    return copy


def _cut_anywhere(image: Image.Image, rng: Random) -> bytes:
    return _cut(*(rng.uniform(0, 0.05) for _ in range(4)))(image, rng)


COPIES: dict[str, Callable[[Image.Image, Random], bytes]] = {
    "half the size": _scaled(0.5, 0.5),
    "twice the size": _scaled(2, 2),
    "squeezed": _scaled(1, 0.8),
    "JPEG quality 50": lambda image, rng: saved(image, 50),
    "JPEG quality 30": lambda image, rng: saved(image, 30),
    "5 % cut off every side": _cut(0.05, 0.05, 0.05, 0.05),
    "5 % cut off the left": _cut(0.05, 0, 0, 0),
    "5 % cut off the bottom": _cut(0, 0, 0, 0.05),
    "95 % from a corner": _cut(0, 0.05, 0.05, 0),
    "cut by up to 5 % anywhere": _cut_anywhere,
    "flipped": lambda image, rng: saved(ImageOps.mirror(image)),
    "flipped, cut and smaller": lambda image, rng: _scaled(0.75, 0.75)(
        ImageOps.mirror(image).crop((1, 1, image.width - 2, image.height - 2)), rng
    ),
}


@pytest.fixture(scope="session")
def copies() -> dict[str, Callable[[Image.Image, Random], bytes]]:
    """Ways to copy an image, by name: (image, random numbers) → the bytes of the copy."""
    return COPIES


@pytest.fixture(scope="session")
def sample_images() -> Callable[[int, int], list[Image.Image]]:
    """Images of the sample generator: many are alike, no two are copies."""

    def draw(count: int, seed: int = 0) -> list[Image.Image]:
        return [generate_post(seed, i, 64)[1] for i in range(count)]

    return draw


@pytest.fixture(scope="session")
def write_images() -> Callable[[Path, list[bytes]], list[Path]]:
    """Write files 0000.jpg, 0001.jpg, … into a folder."""

    def write(folder: Path, files: list[bytes]) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number:04d}.jpg" for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        return paths

    return write


@pytest.fixture(scope="session")
def sample_jpegs(sample_images) -> list[bytes]:
    """1,500 sample images as files."""
    return [encode_jpeg(image) for image in sample_images(1500)]
