"""Images on their way from the API to a prediction worker: ``uploads/<key>`` in the storage that both share.

They are not in the row: a megabyte through PostgreSQL costs both sides and its log more than reading a file. The object
is written before the row that names it is committed: a process that dies in between leaves nothing but an object, which
``sweep`` finds.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select, union_all

from backend.store.database import Sessions
from backend.store.registry.storage import Storage, StorageError
from backend.store.registry.storage_away import responding
from backend.store.serving.tables import Engagement, Prediction
from vise_core.files.whole import sync_folder

log = logging.getLogger("vise.uploads")
ORPHAN_SECONDS = 3600.0
"""Age of an object that most likely has no row any more."""
ROW_SECONDS = 60.0
"""Time between writing an object and committing its row, on a busy machine too."""
KEY = re.compile(r"[0-9a-f]{32}")


def put(storage: Storage, data: bytes) -> str:
    """Write an upload and return its key, to be stored in a row."""
    key = uuid4().hex
    path = _path(storage, key)
    if not storage.local:
        with storage.naming_bucket():
            storage.fs.pipe_file(path, data)
        return key
    with responding():
        try:
            _write(path, data)
        except FileNotFoundError:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            _write(path, data)
    return key


def read(storage: Storage, key: str) -> bytes | None:
    """Return the bytes of an upload; None if it was deleted. Raises StorageAway while the storage is not there."""
    path = _path(storage, key)
    try:
        with responding():
            return Path(path).read_bytes() if storage.local else bytes(storage.fs.cat_file(path))
    except FileNotFoundError:
        storage.require_folder()
        return None


def drop(storage: Storage, key: str) -> None:
    """Delete an upload that no row names any more. If the storage does not respond, ``sweep`` deletes it later."""
    path = _path(storage, key)
    try:
        with suppress(FileNotFoundError):
            if storage.local:
                Path(path).unlink()
            else:
                storage.fs.rm_file(path)
    except Exception as error:  # of the system, fsspec or the bucket's client: there are many
        log.warning("the upload %s stays for now: %s", key, error)


def sweep(sessions: Sessions, storage: Storage, grace_seconds: float = ORPHAN_SECONDS) -> int:
    """Delete uploads that no queued prediction names and that are older than ``ORPHAN_SECONDS``, or than the grace time
    where that is shorter, but at least ``ROW_SECONDS``; return how many.

    Raises nothing: what fails is left to the next sweep.
    """
    try:
        # Listed before the rows are read: a row that is committed later names a newer upload.
        orphans = set(_old(storage, max(ROW_SECONDS, min(ORPHAN_SECONDS, grace_seconds))))
        if orphans:
            named = (
                select(table.upload).where(table.state == "queued") for table in (Prediction, Engagement)
            )
            with sessions() as db:
                orphans -= set(db.scalars(union_all(*named)))
    except Exception as error:  # of the database too
        log.warning("orphaned uploads stay until the next sweep: %s", error)
        return 0
    for key in orphans:
        drop(storage, key)
    return len(orphans)


def _old(storage: Storage, seconds: float) -> Iterator[str]:
    before = time.time() - seconds
    files = ((path.rpartition("/")[2], facts.written) for path, facts in storage.files("uploads"))
    return (key for key, written in files if KEY.fullmatch(key) and written < before)


def _write(path: str, data: bytes) -> None:
    """Write to the disk: an accepted prediction outlives a power failure."""
    file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(Path(path).parent)
    except BaseException:
        Path(path).unlink()
        raise


def _path(storage: Storage, key: str) -> str:
    if not KEY.fullmatch(key):
        raise StorageError(f"{key!r} is not the key of an upload")
    return f"{storage.root}/uploads/{key}"
