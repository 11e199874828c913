"""Resolve the image of a row: bytes, a struct of bytes and path, or a file below the folder of posts."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from vise_core.files.names import FileFinder, OutsideFolder, contained, printable_name
from vise_core.posts.fields.mapping import Mapping
from vise_core.posts.rejected import RejectedPost

from ..paths import IsAddress, file_name
from .raw import RawPost


class ImageFinder:
    """Finds the images that the rows of a source name.

    A relative name is looked up first in the folder of images, which it may not leave; then beside the file of posts;
    then in the folder of posts. The folder of images lies below the folder of posts or beside the file of posts.
    Raises OutsideFolder if ``source.images`` leads out of the folder.
    """

    def __init__(self, folder: Path, images: str, mapping: Mapping) -> None:
        self._mapping = mapping
        self._folder = folder.resolve() if folder.is_dir() else None
        if self._folder is not None:
            self._files = FileFinder(self._folder)
            self._images = _below(self._folder, contained(folder, images, "source.images"))
            self._written = images
        self._bases: dict[Path, tuple[tuple[str, str], str]] = {}

    def post(self, where: str, row: Any, file: Path) -> RawPost:
        """Return the raw post with its image, or with the reason why the image cannot be used."""
        try:
            return RawPost(where, row, self.find(self._mapping.get("image", row), file))
        except RejectedPost as error:
            return RawPost(where, row, rejected=error)

    def find(self, value: Any, file: Path) -> bytes | Path:
        """Return the image that a row names.

        Raises RejectedPost: missing_image, image_missing, outside_folder, image_address, several_images.
        """
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, list) and value:
            raise RejectedPost("several_images", f"{self._field} holds {len(value)} images; a post has one")
        if isinstance(value, dict):  # the layout of the datasets library
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes) and value:
            return value
        if not isinstance(value, str) or not value.strip():
            empty = not value or (isinstance(value, float) and math.isnan(value))
            problem = "is missing or empty" if empty else f"is {value!r}, not the name of a file"
            raise RejectedPost("missing_image", f"{self._field} {problem}"[:300])
        return self._file(value, file)

    def _file(self, value: str, file: Path) -> Path:
        if "\0" in value:
            raise RejectedPost("missing_image", f"{self._field} names no file")
        if self._folder is None:
            raise RejectedPost(
                "missing_image",
                f"image '{printable_name(value)}' is a file name: give the folder that holds it",
            )
        try:
            name = file_name(value)
            images, beside = self._places(self._folder, file)
            bases = [base for base in images if _stays(base, name)]
            path = self._files.find(name, list(dict.fromkeys((*bases, beside, ""))))
        except OutsideFolder as error:
            raise RejectedPost("outside_folder", f"image {error}") from error
        except IsAddress as error:
            raise RejectedPost("image_address", f"image {error}") from error
        if path is None:
            raise RejectedPost("image_missing", f"image '{printable_name(value)}': no such file")
        return self._folder / path

    def _places(self, folder: Path, file: Path) -> tuple[tuple[str, str], str]:
        """Return (both folders of images, folder of the file of posts), relative to the folder of posts."""
        if file not in self._bases:
            beside = _below(folder, file.parent.resolve())
            other = os.path.normpath(f"{beside}/{self._written}") if beside else self._images
            self._bases = {file: ((self._images, other), beside)}  # files come one after the other
        return self._bases[file]

    @property
    def _field(self) -> str:
        return self._mapping.describe("image")


def _below(folder: Path, path: Path) -> str:
    below = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
    return "" if below == "." else below


def _stays(base: str, name: str) -> bool:
    """Return True if a relative name stays in its base folder."""
    path = os.path.normpath(os.path.join(base or ".", name.replace("\\", "/")))  # noqa: PTH118
    return not base or path == base or path.startswith(f"{base}/") or name.startswith("/")
