"""The board of a run: tasks and results that its holder and helpers exchange, stored beside its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from backend.store.registry.storage import Storage
from vise_core.board import Board, FolderBoard

T = TypeVar("T")


class Retry(Protocol):
    """Calls a function, and calls it again while the storage does not respond."""

    def __call__(self, use: Callable[[], T], /) -> T: ...


def board_of(states: Storage, retry: Retry) -> Board:
    """Return the board of one holder of a run. Each holder has its own, so that late writes do no harm."""
    board: Board = FolderBoard(Path(states.root) / "board") if states.local else BucketBoard(states)
    return RetryingBoard(board, retry)


class RetryingBoard:
    """A board whose calls wait while the storage does not respond or is full."""

    def __init__(self, board: Board, retry: Retry) -> None:
        self._board, self._retry = board, retry

    def put(self, name: str, data: bytes) -> None:
        """Write an entry."""
        self._retry(lambda: self._board.put(name, data))

    def get(self, name: str) -> bytes | None:
        """Return an entry, or None if it does not exist."""
        return self._retry(lambda: self._board.get(name))

    def names(self, folder: str) -> set[str]:
        """Return the names of the entries of a folder."""
        return self._retry(lambda: self._board.names(folder))

    def drop(self, folder: str = "") -> None:
        """Delete a folder, by default the whole board."""
        self._retry(lambda: self._board.drop(folder))


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
        """Return the names of the objects in a folder."""
        # Other processes write there too: a cached listing is stale.
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
