"""The board of a run: tasks and results that its holder and its helpers exchange, beside the run's checkpoints."""

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
    """A board in a bucket: each object appears when it is whole."""

    def __init__(self, states: Storage) -> None:
        self._fs, self._root = states.fs, f"{states.root}/board"

    def put(self, name: str, data: bytes) -> None:
        self._fs.pipe_file(f"{self._root}/{name}", data)

    def get(self, name: str) -> bytes | None:
        try:
            return bytes(self._fs.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> set[str]:
        # Other processes write there too: a cached listing is stale.
        self._fs.invalidate_cache(f"{self._root}/{folder}")
        try:
            paths = self._fs.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return set()
        return {path.rpartition("/")[2] for path in paths}

    def drop(self, folder: str = "") -> None:
        self._fs.invalidate_cache()
        with suppress(FileNotFoundError):
            self._fs.rm(f"{self._root}/{folder}".rstrip("/"), recursive=True)
