"""Read the objects and saved states of the storage, and registered folders, for posts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from backend.store.database import Sessions
from backend.store.errors import Invalid
from backend.store.registry import folders
from backend.store.registry.storage import Storage, StorageError
from backend.store.registry.tables import Dataset
from vise_core.errors import BadInput
from vise_core.files.names import contained
from vise_core.formats.holding import Searched, Wanted
from vise_core.formats.holding_process import Searcher

THREADS = 4
Report = Callable[[str], object]
"""Called from time to time with what is being done; may raise to end it."""


def unsearched(problem: str) -> str:
    """Return the end of a sentence about what may hold a post."""
    return f" may hold a post: it could not be searched as a whole, since {problem}" if problem else ""


def no_report(_: str) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Scan:
    """``held``: what holds posts; ``problems``: why something could not be searched as a whole, and may hold some.

    Both by digest of an object, or by path.
    """

    held: Collection[str]
    problems: dict[str, str]


def scan_objects(storage: Storage, wanted: Wanted, report: Report) -> Scan:
    """Search all objects."""
    hits = {path.rpartition("/")[2]: hit for path, hit in scan_files(storage, "objects", wanted, report)}
    problems = {digest: hit.problem for digest, hit in hits.items() if hit.problem}
    return Scan({digest for digest, hit in hits.items() if hit.posts}, problems)


def scan_files(
    storage: Storage, folder: str, wanted: Wanted, report: Report
) -> Iterator[tuple[str, Searched]]:
    """Yield path and result of each file below a folder of the storage that holds a post or may hold one."""
    searcher = Searcher(wanted.ids)

    def scan(path: str) -> tuple[str, Searched]:
        try:
            with _copy(storage, path) as file:
                return path, searcher.search(file)
        except (StorageError, FileNotFoundError):
            return path, Searched(frozenset())  # removed since it was listed

    paths = [path for path, _ in storage.files(folder)]
    with searcher, ThreadPoolExecutor(THREADS, "scan") as threads:
        try:
            for number, hit in enumerate(threads.map(scan, paths), 1):
                report(f"read {number:,} of {len(paths):,} files in {folder}/")
                if hit[1].posts or hit[1].problem:
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


def scan_folders(
    sessions: Sessions, data_root: Path | None, wanted: Wanted, report: Report
) -> list[tuple[Dataset, str, str]]:
    """Return (data set, path below the data root, problem) of the files of registered folders that hold a post.

    ``problem``: why the file could not be searched as a whole, so that it may hold a post; else empty.

    Folders are the user's own. Those that are missing, and links that lead out of the data root, are skipped: no run
    reads them.
    """
    holding = []
    with sessions() as db:
        rows = db.scalars(select(Dataset).where(Dataset.folder.is_not(None)).order_by(Dataset.name)).all()
    with Searcher(wanted.ids) as searcher:
        for dataset in rows:
            try:
                folder = folders.resolve(data_root, str(dataset.folder))
            except Invalid:
                continue
            assert data_root is not None
            for path in sorted(folder.rglob("*")):
                if not _is_inside(data_root, path) or not path.is_file():
                    continue
                report(f"reading the folder of the data set {dataset.name!r}")
                searched = searcher.search(path)
                if path.stem in wanted.of_name or searched.posts or searched.problem:
                    sure = path.stem in wanted.of_name or searched.posts
                    shown = str(path.relative_to(data_root.resolve()))
                    holding.append((dataset, shown, "" if sure else searched.problem))
    return holding


def _is_inside(root: Path, path: Path) -> bool:
    try:
        contained(root, str(path))
    except BadInput:
        return False
    return True
