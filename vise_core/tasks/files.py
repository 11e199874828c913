"""Where a task's files are: below its folder, and only there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeVar

from vise_core.errors import BadInput
from vise_core.specs.images import is_image_name

from .records import Row, below, inside

T = TypeVar("T")

QUEUED = 2_000

MAX_LIST_BYTES = 1_000_000_000
"""Larger manifests are refused before they are read."""


def images_below(root: Path, folder: Path) -> list[str]:
    """Every image file below ``folder``, relative to ``root``, sorted; hidden names are passed over.

    Linked folders are not entered; a linked file is listed, and judged by ``missing_rows``.
    """
    found: list[str] = []
    prefix = folder.relative_to(root).as_posix()
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = parent[len(str(folder)) :].replace(os.sep, "/")
        found += [
            f"{prefix}{below}/{name}" for name in files if not name.startswith(".") and is_image_name(name)
        ]
    return sorted(found)


def missing_rows(root: Path, rows: Iterable[Row]) -> list[Row]:
    """The rows whose file is not there.

    Raises BadInput for a path that leads out of the folder, by itself or through a link. A folder is resolved once
    and a plain file in it is looked at once, so that a million files take seconds.
    """
    top = root.resolve()
    plain_folders: dict[str, bool] = {}
    missing = []
    for row in rows:
        parent = row.path.rpartition("/")[0]
        if parent not in plain_folders:
            plain_folders[parent] = _is_below(root, top, parent)
        if plain_folders[parent] and not row.path.startswith("/") and _is_plain_file(f"{root}/{row.path}"):
            continue
        if not below(root, row.path, row.where or "data set").is_file():
            missing.append(row)
    return missing


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
        here = folder / at
        if (here / marker).exists():
            return "" if at == PurePosixPath() else at.as_posix()
        below = [
            entry
            for entry in here.iterdir()
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
    """Links are not plain."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
