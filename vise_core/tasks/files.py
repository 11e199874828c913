"""Find the files of a task below its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TypeVar

from vise_core.errors import BadInput
from vise_core.files.names import FileFinder, OutsideFolder, printable_name
from vise_core.specs.posts.images import is_image_name

from .records import Row, inside
from .split_names import SPLIT_NAMES

T = TypeVar("T")

QUEUED = 2_000

MAX_LIST_BYTES = 1_000_000_000
"""Larger manifests are refused before they are read."""


def images_below(root: Path, folder: Path) -> list[str]:
    """Return every image file below ``folder``, relative to ``root``, sorted; skip hidden names.

    Linked folders are not entered; linked files are listed, and checked by ``locate_rows``.
    """
    images: list[str] = []
    prefix = folder.relative_to(root).as_posix()
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = parent[len(str(folder)) :].replace(os.sep, "/")
        images += [
            f"{prefix}{below}/{name}" for name in files if not name.startswith(".") and is_image_name(name)
        ]
    return sorted(images)


def locate_rows(root: Path, rows: Iterable[Row], bases: Sequence[str] = ("",)) -> tuple[list[Row], list[Row]]:
    """Split rows into (rows with the path of their file, rows whose file is missing).

    ``bases``: folders that the paths may be relative to, themselves relative to the root; see ``FileFinder``. Paths
    have the spelling of the file system. Raises BadInput for a path that leads out of the folder, directly or through
    a link, and for two rows with the same file. Each folder is resolved once and each plain file checked once, so
    that a million files take seconds.
    """
    top, finder = root.resolve(), FileFinder(root)
    plain_folders: dict[str, bool] = {}
    there, missing = [], []
    for row in rows:
        if "\0" in row.path:
            raise BadInput(f"{row.where}: '{printable_name(row.path)}' is not a path")
        parent = row.path.rpartition("/")[0]
        if parent not in plain_folders:
            spelled = normpath(parent) == (parent or ".")  # else two spellings could name one file
            plain_folders[parent] = bases[0] == "" and spelled and _is_below(root, top, parent)
        if plain_folders[parent] and not row.path.startswith("/") and _is_plain_file(f"{root}/{row.path}"):
            there.append(row)
            continue
        try:
            path = finder.find(row.path, bases)
        except OutsideFolder as error:
            raise BadInput(f"{row.where or 'data set'}: {error}") from None
        if path is None:
            missing.append(row)
        else:
            there.append(row._replace(path=path))
    _require_distinct(there)
    return there, missing


def _require_distinct(rows: Iterable[Row]) -> None:
    """Raise BadInput if two rows, perhaps in different spellings, name the same file."""
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(row.path, row)
        if other is not row:
            path = printable_name(row.path)
            raise BadInput(
                f"{row.where}: '{path}' was already named in {other.where}{other_label(other, row)}"
            )


def other_label(first: Row, again: Row) -> str:
    """Return the end of a message about an image that is named twice: its two labels, if they differ."""
    return "" if first.label == again.label else f", as {first.label!r} there and as {again.label!r} here"


def task_root(folder: Path) -> Path:
    """Return the folder, or its single subfolder, which most archives have.

    A subfolder that holds only images is a class and one named as a split is a split; neither is entered. Hidden
    entries are ignored.
    """
    while True:
        entries = [entry for entry in folder.iterdir() if not is_hidden(entry.name)]
        if len(entries) != 1 or entries[0].is_symlink() or not entries[0].is_dir():
            return folder
        if entries[0].name.lower() in SPLIT_NAMES:
            return folder
        inside = [entry for entry in entries[0].iterdir() if not is_hidden(entry.name)]
        if all(is_image_name(entry.name) and entry.is_file() for entry in inside):
            return folder
        folder = entries[0]


def is_hidden(name: str) -> bool:
    """Return True for hidden names and names that operating systems or archivers add."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def in_threads(function: Callable[[Path], T], paths: Sequence[Path], workers: int) -> Iterator[T]:
    """Yield ``function(path)`` for every path, in order; the queue is bounded."""
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), QUEUED):
            yield from pool.map(function, paths[start : start + QUEUED])


def list_file(root: Path, name: str, where: str) -> Path:
    """Return the path of a list file, such as a manifest. Raises BadInput if it is missing or too large."""
    path = inside(root, name, where)
    if path.stat().st_size > MAX_LIST_BYTES:
        raise BadInput(f"{name}: larger than {MAX_LIST_BYTES} bytes")
    return path


def unpacked_below(folder: Path, marker: str) -> str:
    """Return the folder that contains ``marker``, relative to ``folder`` ("" for the folder itself).

    Some archives unpack to nested folders of the same name: a single subfolder is entered while ``marker`` is
    missing, at most twice.
    """
    at = PurePosixPath()
    for _ in range(3):
        path = folder / at
        if (path / marker).exists():
            return "" if at == PurePosixPath() else at.as_posix()
        below = [
            entry
            for entry in path.iterdir()
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith((".", "__MACOSX"))
        ]
        if len(below) != 1:
            break
        at /= below[0].name
    return ""


def _is_below(root: Path, top: Path, folder: str) -> bool:
    try:
        return (root / folder).resolve().is_relative_to(top)
    except (OSError, ValueError, RuntimeError):
        return False


def _is_plain_file(path: str) -> bool:
    """Return True for a file that is not a link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
