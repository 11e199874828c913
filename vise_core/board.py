"""A place that several processes see, where one lays out work and others lay what they found."""

from __future__ import annotations

import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class Board(Protocol):
    """Named bytes. What is put is seen whole or not at all, and stays when whoever put it dies.

    A name is one word, or a folder and a word: ``plan``, ``3/done-7``.
    """

    def put(self, name: str, data: bytes) -> None:
        """Lay it there; the same name again takes the place of what was there."""

    def get(self, name: str) -> bytes | None:
        """None where there is nothing."""

    def names(self, folder: str) -> set[str]:
        """The words in a folder; none where there is no such folder."""

    def drop(self, folder: str = "") -> None:
        """Forget a folder, or everything."""


class FolderBoard:
    """A folder on a disk that all see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, data: bytes) -> None:
        target = self.folder / name
        part = target.with_name(f".{uuid.uuid4().hex}")
        while True:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Another may drop the folder at any moment.
            with suppress(FileNotFoundError):
                part.write_bytes(data)
                part.replace(target)
                return

    def get(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> set[str]:
        try:
            return {p.name for p in (self.folder / folder).iterdir() if not p.name.startswith(".")}
        except FileNotFoundError:
            return set()

    def drop(self, folder: str = "") -> None:
        shutil.rmtree(self.folder / folder, ignore_errors=True)
