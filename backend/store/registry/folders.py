"""Registered folders below the data root, and whether they have changed since their newest version.

Names, sizes and times are compared, in a thread; no file is read. A comparison of a big folder takes seconds: it is
cached for ten times as long as it took, and a request waits only for a moment; until the comparison is done the state
is "checking".
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cachetools import LRUCache
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid
from backend.store.registry.tables import Dataset, DatasetVersion
from vise_client.schemas.datasets import FolderChanges
from vise_core.errors import BadInput
from vise_core.files import listing
from vise_core.files.names import contained

from .dataset_reads import newest_versions

WAIT_SECONDS = 2.0
KEEP = 10
"""A comparison is cached for this many times as long as it took."""


@dataclass(frozen=True)
class _Comparison:
    """One comparison of a folder with one version and its listing."""

    key: tuple[UUID, object]
    started_at: float
    result: Future[tuple[listing.Difference, float, float]]


_comparisons: LRUCache[UUID, _Comparison] = LRUCache(1000)
_lock = threading.Lock()


def changes(db: Session, root: Path | None, dataset: Dataset, wait: float = WAIT_SECONDS) -> FolderChanges:
    """Return how a data set's folder differs from its newest version, by names, sizes and times."""
    if dataset.folder is None:
        sentence = "Uploaded or downloaded data sets never change."
        return FolderChanges(state="immutable", version=1, sentence=sentence)
    version = newest_versions(db, [dataset.id]).get(dataset.id)
    number = version.number if version is not None else None
    try:
        folder = resolve(root, dataset.folder)
    except Invalid as error:
        sentence = f"The folder {dataset.folder!r} cannot be read: {error.message}."
        return FolderChanges(state="missing", version=number, sentence=sentence)
    if version is None:
        return FolderChanges(state="unsurveyed", sentence="The folder has not been surveyed yet.")
    difference = _compare(db, folder, version, wait)
    if isinstance(difference, FolderChanges):
        return difference
    if not difference.any:
        sentence = f"The folder has not changed since version {number}."
        return FolderChanges(state="same", version=number, sentence=sentence)
    files = "file" if difference.added == 1 else "files"
    return FolderChanges(
        state="changed",
        version=number,
        added=difference.added,
        changed=difference.changed,
        removed=difference.removed,
        first=tuple(path.encode(errors="backslashreplace").decode() for path in difference.first),
        sentence=f"The folder has changed since version {number}: {difference.added:,} {files} added, "
        f"{difference.changed:,} changed, {difference.removed:,} removed. Rescan it.",
    )


def resolve(root: Path | None, folder: str) -> Path:
    """Return the path of a folder below the data root, with links followed.

    Raises Invalid if there is no such folder or no data root, or if the path leads out of it.
    """
    if root is None:
        raise Invalid("folder", "this server has no data root: set VISE_DATA_ROOT and restart it")
    try:
        path = contained(root, folder)
    except BadInput as error:
        raise Invalid("folder", "must lie below the server's data root") from error
    if not path.is_dir():
        raise Invalid("folder", f"there is no folder {folder!r} below the server's data root")
    return path


def _compare(
    db: Session, folder: Path, version: DatasetVersion, wait: float
) -> listing.Difference | FolderChanges:
    number = version.number
    key = (version.id, version.checked_at)
    with _lock:
        comparison = _comparisons.get(version.dataset_id)
        if comparison is None or comparison.key != key or _outdated(comparison):
            packed = db.scalar(select(DatasetVersion.listing).where(DatasetVersion.id == version.id))
            assert packed is not None, "every survey of a folder stores its listing"
            comparison = _Comparison(key, time.monotonic(), _start(folder, packed))
            _comparisons[version.dataset_id] = comparison
    try:
        return comparison.result.result(timeout=max(0, comparison.started_at + wait - time.monotonic()))[0]
    except NotYet:
        sentence = f"The folder is still being compared with version {number}."
        return FolderChanges(state="checking", version=number, sentence=sentence)
    except OSError as error:
        sentence = f"The folder cannot be read: {error.strerror}."
        return FolderChanges(state="missing", version=number, sentence=sentence)


def _outdated(comparison: _Comparison) -> bool:
    if not comparison.result.done():
        return False
    if comparison.result.exception() is not None:
        return True
    _, started_at, ended_at = comparison.result.result()
    return time.monotonic() > ended_at + KEEP * (ended_at - started_at)


def _start(folder: Path, packed: bytes) -> Future[tuple[listing.Difference, float, float]]:
    """Start the comparison in a daemon thread, which does not keep the process from ending."""
    future: Future[tuple[listing.Difference, float, float]] = Future()

    def compare() -> None:
        started_at = time.monotonic()
        try:
            difference = listing.compare(listing.unpack(packed), listing.list_folder(folder))
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result((difference, started_at, time.monotonic()))

    threading.Thread(target=compare, name="folder-changes", daemon=True).start()
    return future
