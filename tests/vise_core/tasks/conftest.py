from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def picture() -> Callable[[Path], Path]:
    """Write a small real image file, with every folder above it."""

    def write(path: Path, colour: tuple[int, int, int] = (200, 30, 30)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), colour).save(path)
        return path

    return write
