"""A hostile file, what it is sent as, and small parts that several kinds share."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from PIL import Image

Kind = Literal["picture", "archive", "checkpoint", "posts", "table"]


@dataclass(frozen=True)
class Case:
    """``build`` makes the content of the file, which is sent under the name ``file``."""

    kind: Kind
    name: str
    file: str
    build: Callable[[], bytes]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


@cache
def picture(kind: str = "PNG", side: int = 24, shade: int = 0) -> bytes:
    """A small honest picture with some content."""
    image = Image.radial_gradient("L").resize((side, side))
    colours = Image.merge("RGB", (image, image.rotate(90), Image.new("L", image.size, shade)))
    buffer = io.BytesIO()
    colours.save(buffer, kind)
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def labelled(n: int = 12) -> dict[str, bytes]:
    """A small set of images in two folders, which every evaluation accepts."""
    return {f"{'ab'[i % 2]}/{i}.png": picture(shade=9 * i) for i in range(n)}
