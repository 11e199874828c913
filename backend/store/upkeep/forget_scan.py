"""Read the objects and saved states of the storage, and registered folders, for posts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid
from backend.store.registry import folders
from backend.store.registry.storage import Storage, StorageError
from backend.store.registry.tables import Dataset
from vise_core.errors import BadInput
from vise_core.files.names import contained
from vise_core.formats.holding import Wanted, held_posts

THREADS = 4
Report = Callable[[str], object]
"""Called from time to time with what is being done; may raise to end it."""


def no_report(_: str) -> None:
    """Report nothing."""


def scan_objects(storage: Storage, wanted: Wanted, report: Report) -> dict[str, set[str]]:
    """Return digest → ids of the posts that an object holds, of all objects that hold any."""
    return {path.rpartition("/")[2]: ids for path, ids in scan_files(storage, "objects", wanted, report)}


def scan_files(
    storage: Storage, folder: str, wanted: Wanted, report: Report
) -> Iterator[tuple[str, set[str]]]:
    """Yield (path, ids of the posts) of each file below a folder of the storage that holds any."""

    def scan(path: str) -> tuple[str, set[str]]:
        try:
            with _copy(storage, path) as file:
                return path, held_posts(file, wanted)
        except (StorageError, FileNotFoundError):
            return path, set()  # removed since it was listed

    paths = [path for path, _ in storage.files(folder)]
    with ThreadPoolExecutor(THREADS, "scan") as threads:
        try:
            for number, hit in enumerate(threads.map(scan, paths), 1):
                report(f"read {number:,} of {len(paths):,} files in {folder}/")
                if hit[1]:
                    yield hit
        finally:
            threads.shutdown(cancel_futures=True)


@contextmanager
def _copy(storage: Storage, path: str) -> Iterator[Path]:
    if storage.local:
        yield Path(storage.root, path)
        return
    with tempfile.NamedTemporaryFile() as file:
        storage.fetch(path, Path(file.name))
        yield Path(file.name)


def scan_folders(db: Session, data_root: Path | None, wanted: Wanted) -> list[tuple[Dataset, str]]:
    """Return (data set, path below the data root) of the files of registered folders that hold a post.

    Folders are the user's own. Those that are missing, and links that lead out of the data root, are skipped: no run
    reads them.
    """
    holding = []
    for dataset in db.scalars(select(Dataset).where(Dataset.folder.is_not(None)).order_by(Dataset.name)):
        try:
            folder = folders.resolve(data_root, str(dataset.folder))
        except Invalid:
            continue
        assert data_root is not None
        for path in sorted(folder.rglob("*")):
            if not _is_inside(data_root, path) or not path.is_file():
                continue
            if path.stem in wanted.of_name or held_posts(path, wanted):
                holding.append((dataset, str(path.relative_to(data_root.resolve()))))
    return holding


def _is_inside(root: Path, path: Path) -> bool:
    try:
        contained(root, str(path))
    except BadInput:
        return False
    return True
