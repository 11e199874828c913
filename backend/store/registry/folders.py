"""Registered folders below the data root, and whether they still are what their newest version says.

That is a look at names, sizes and times, in a thread; no file is read. A look at a big folder takes seconds, so that it is kept for ten times as long as it took, and who asks
waits for a moment only: until the look is done the answer is "checking".
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid
from backend.store.registry.tables import Dataset, DatasetVersion
from vise_client.schemas.datasets import FolderChanges
from vise_core.files import listing

from .dataset_reads import newest_versions

WAIT_SECONDS = 2.0
KEEP = 10
"""A look is kept for so many times as long as it took."""
MOST = 1000
"""Looks that are kept."""


@dataclass(frozen=True)
class _Look:
    """One look at a folder, for one version with one listing of its files."""

    key: tuple[UUID, object]
    asked_at: float
    found: Future[tuple[listing.Difference, float, float]]


_looks: dict[UUID, _Look] = {}
_lock = threading.Lock()


def changes(db: Session, root: Path | None, dataset: Dataset, wait: float = WAIT_SECONDS) -> FolderChanges:
    """How the data set's folder differs from its newest version, by names, sizes and times."""
    if dataset.folder is None:
        told = "What was uploaded or downloaded never changes."
        return FolderChanges(state="immutable", version=1, sentence=told)
    version = newest_versions(db, [dataset.id]).get(dataset.id)
    number = version.number if version is not None else None
    try:
        folder = resolve(root, dataset.folder)
    except Invalid as error:
        told = f"The folder {dataset.folder!r} cannot be read: {error.message}."
        return FolderChanges(state="missing", version=number, sentence=told)
    if version is None:
        return FolderChanges(state="unsurveyed", sentence="The folder has not been surveyed yet.")
    found = _look(db, folder, version, wait)
    if isinstance(found, FolderChanges):
        return found
    if not found.any:
        told = f"The folder has not changed since version {number}."
        return FolderChanges(state="same", version=number, sentence=told)
    files = "file" if found.added == 1 else "files"
    return FolderChanges(
        state="changed",
        version=number,
        added=found.added,
        changed=found.changed,
        removed=found.removed,
        first=tuple(path.encode(errors="backslashreplace").decode() for path in found.first),
        sentence=f"The folder has changed since version {number}: {found.added:,} {files} added, "
        f"{found.changed:,} changed, {found.removed:,} removed. Rescan it.",
    )


def resolve(root: Path | None, folder: str) -> Path:
    """The folder on this machine. Links are followed before it is checked, so none leads out."""
    if root is None:
        raise Invalid("folder", "this server has no data root: set VISE_DATA_ROOT and start it again")
    if "\0" in folder:
        raise Invalid("folder", "must lie below the server's data root")
    place = (root / folder).resolve()
    if not place.is_relative_to(root.resolve()):
        raise Invalid("folder", "must lie below the server's data root")
    if not place.is_dir():
        raise Invalid("folder", f"there is no folder {folder!r} below the server's data root")
    return place


def _look(
    db: Session, folder: Path, version: DatasetVersion, wait: float
) -> listing.Difference | FolderChanges:
    number = version.number
    key = (version.id, version.checked_at)
    with _lock:
        look = _looks.get(version.dataset_id)
        if look is None or look.key != key or _outdated(look):
            packed = db.scalar(select(DatasetVersion.listing).where(DatasetVersion.id == version.id))
            if packed is None:
                told = f"Version {number} has no list of its files to compare the folder with. Rescan it."
                return FolderChanges(state="unknown", version=number, sentence=told)
            look = _Look(key, time.monotonic(), _start(folder, packed))
            while len(_looks) >= MOST:
                del _looks[next(iter(_looks))]
            _looks[version.dataset_id] = look
    try:
        return look.found.result(timeout=max(0, look.asked_at + wait - time.monotonic()))[0]
    except NotYet:
        told = f"The folder is still being compared with version {number}."
        return FolderChanges(state="checking", version=number, sentence=told)
    except OSError as error:
        told = f"The folder cannot be read: {error.strerror}."
        return FolderChanges(state="missing", version=number, sentence=told)


def _outdated(look: _Look) -> bool:
    if not look.found.done():
        return False
    if look.found.exception() is not None:
        return True
    _, began, ended = look.found.result()
    return time.monotonic() > ended + KEEP * (ended - began)


def _start(folder: Path, packed: bytes) -> Future[tuple[listing.Difference, float, float]]:
    """Compare in a thread of its own, which does not keep the process from ending."""
    future: Future[tuple[listing.Difference, float, float]] = Future()

    def compare() -> None:
        began = time.monotonic()
        try:
            found = listing.compare(listing.unpack(packed), listing.list_folder(folder))
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result((found, began, time.monotonic()))

    threading.Thread(target=compare, name="folder-changes", daemon=True).start()
    return future
