"""Where a task's files are: below its folder, and only there."""

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
    """Every image file below ``folder``, relative to ``root``, sorted; hidden names are passed over.

    Linked folders are not entered; a linked file is listed, and judged by ``locate_rows``.
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
    """(rows whose file is there, with its path as the folders spell it; rows whose file is not there).

    ``bases``: folders that the paths may be relative to, themselves relative to the root; see ``FileFinder``.
    Raises BadInput for a path that leads out of the folder, by itself or through a link, and for two rows of one file.
    A folder is resolved once and a plain file in it is looked at once, so that a million files take seconds.
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
    """Raises BadInput where two rows, perhaps in two spellings, name one file."""
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(row.path, row)
        if other is not row:
            path = printable_name(row.path)
            raise BadInput(
                f"{row.where}: '{path}' was already named in {other.where}{other_label(other, row)}"
            )


def other_label(first: Row, again: Row) -> str:
    """What to add to a message about an image that is named twice."""
    return "" if first.label == again.label else f", as {first.label!r} there and as {again.label!r} here"


def task_root(folder: Path) -> Path:
    """Return the folder, or the single folder in it, as most archives have.

    A folder of nothing but images is not entered, it is a class; nor one that is named as a split. Hidden entries do not
    count.
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
    """Whether a name is hidden or added by an operating system or archiver."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def in_threads(look: Callable[[Path], T], paths: Sequence[Path], workers: int) -> Iterator[T]:
    """``look`` at every path, results in order; a million paths are not queued at once."""
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), QUEUED):
            yield from pool.map(look, paths[start : start + QUEUED])


def list_file(root: Path, name: str, where: str) -> Path:
    """A list of the task, such as a manifest. Raises BadInput where it is not there, or is too large to be one."""
    path = inside(root, name, where)
    if path.stat().st_size > MAX_LIST_BYTES:
        raise BadInput(f"{name}: larger than {MAX_LIST_BYTES} bytes")
    return path


def unpacked_below(folder: Path, marker: str, *, deepest: int = 2) -> str:
    """The folder that holds ``marker``, relative to ``folder`` ("" for itself).

    Some archives unpack to a folder in a folder of the same name: while ``marker`` is not there and there is one
    folder only, that one is entered, ``deepest`` times at most.
    """
    at = PurePosixPath()
    for _ in range(deepest + 1):
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
    """Whether an entry is a file and not a link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
