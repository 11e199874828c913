"""The board of a run: tasks and results that its holder and helpers exchange, stored beside its checkpoints."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from backend.store.registry.storage import Storage
from vise_core.board import Board, FolderBoard


def board_of(states: Storage) -> Board:
    """Return the board of one holder of a run. Each holder has its own, so that late writes do no harm."""
    if states.local:
        return FolderBoard(Path(states.root) / "board")
    return BucketBoard(states)


class BucketBoard:
    """A board in a bucket. Objects appear only when they are complete."""

    def __init__(self, states: Storage) -> None:
        self._fs, self._root = states.fs, f"{states.root}/board"

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        self._fs.pipe_file(f"{self._root}/{name}", data)

    def get(self, name: str) -> bytes | None:
        """Return an object, or None if it does not exist."""
        try:
            return bytes(self._fs.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> set[str]:
        # Other processes write there too: a cached listing is stale.
        """Return the names of the objects in a folder."""
        self._fs.invalidate_cache(f"{self._root}/{folder}")
        try:
            paths = self._fs.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return set()
        return {path.rpartition("/")[2] for path in paths}

    def drop(self, folder: str = "") -> None:
        """Delete a folder, by default the whole board."""
        self._fs.invalidate_cache()
        with suppress(FileNotFoundError):
            self._fs.rm(f"{self._root}/{folder}".rstrip("/"), recursive=True)
