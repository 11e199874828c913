"""Boards: small shared stores of named bytes, through which processes hand out work and collect results."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .files.whole import whole_file


class Board(Protocol):
    """Shared named bytes. Entries are written atomically and outlive the process that wrote them.

    A name is one word, or a folder and a word: ``plan``, ``3/done-7``.
    """

    def put(self, name: str, data: bytes) -> None:
        """Write an entry; an entry of the same name is replaced."""

    def get(self, name: str) -> bytes | None:
        """Return the bytes of an entry, or None if there is no such entry."""

    def names(self, folder: str) -> set[str]:
        """Return the names of the entries of a folder, without the folder; empty if there is no such folder."""

    def drop(self, folder: str = "") -> None:
        """Remove a folder, or the whole board."""


class FolderBoard:
    """A board in a folder of a file system that all processes share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, data: bytes) -> None:
        target = self.folder / name
        while True:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Another process may drop the folder at any moment.
            with suppress(FileNotFoundError):
                with whole_file(target) as part:
                    part.write_bytes(data)
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
