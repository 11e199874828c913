"""The image that a row names: bytes, a struct of bytes and path, or a file below the folder of posts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput

from ..mapping import Mapping
from ..paths import IsAddress, OutsideFolder, contained, escaped, locate
from ..refused import Refused
from .raw import RawPost


class ImageFinder:
    """Finds images for the rows of one source.

    A relative name starts from the folder of images, then from the file of posts, then from the folder of posts.
    Raises OutsideFolder where ``source.images`` leads out of the folder.
    """

    def __init__(self, folder: Path, images: str, mapping: Mapping) -> None:
        self._root = folder.resolve() if folder.is_dir() else None
        self._images = contained(folder, images, "source.images") if self._root else None
        self._mapping = mapping

    def post(self, where: str, row: Any, file: Path) -> RawPost:
        """The row with its image, or with the reason why it has none."""
        try:
            return RawPost(where, row, self.find(self._mapping.get("image", row), file))
        except Refused as error:
            return RawPost(where, row, refused=error)

    def find(self, value: Any, file: Path) -> bytes | Path:
        """Raises Refused: missing_image, outside_folder, image_address, several_images."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, list) and value:
            raise Refused("several_images", f"{self._field} holds {len(value)} images; a post has one")
        if isinstance(value, dict):  # the layout of the datasets library
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes) and value:
            return value
        if not isinstance(value, str) or not value.strip():
            empty = not value or (isinstance(value, float) and math.isnan(value))
            what = "is missing or empty" if empty else f"is {value!r}, not the name of a file"
            raise Refused("missing_image", f"{self._field} {what}"[:300])
        return self._file(value, file)

    def _file(self, name: str, file: Path) -> Path:
        if self._root is None or self._images is None:
            raise Refused(
                "missing_image", f"image {escaped(name)!r} is a file name: give the folder that holds it"
            )
        try:
            return locate(name, (self._images, file.parent.resolve(), self._root), self._root)
        except OutsideFolder as error:
            raise Refused("outside_folder", f"image {error}") from error
        except IsAddress as error:
            raise Refused("image_address", f"image {error}") from error
        except BadInput as error:
            raise Refused("missing_image", f"image {error}") from error

    @property
    def _field(self) -> str:
        return self._mapping.describe("image")
