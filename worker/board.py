"""The board of a run, beside its states: where its holder lays out work for helpers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from backend.store.registry.storage import Storage
from vise_core.board import Board, FolderBoard


def board_of(states: Storage) -> Board:
    """The board that lies with the states of one holder: a successor has another, whatever is late for this one."""
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
        # Others write there too: what was listed before says nothing.
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
