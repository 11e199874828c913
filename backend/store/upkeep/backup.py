"""Back up database and storage while runs go on, and restore both into an empty place.

The database is copied from one snapshot, then the files that this snapshot names. Until they are copied nothing is
removed that the snapshot names: sweeps, and workers that replace a saved state, see the backup's lock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from alembic import command
from backend.store.database import (
    UNLIMITED,
    alembic_config,
    known_revisions,
    migrate,
    open_connection,
    plain_url,
)
from backend.store.locks import BACKUP_LOCK
from backend.store.registry.storage import Storage, StorageError
from vise_core.files.hashing import file_sha256

from . import rows
from .backup_files import (
    STORAGE,
    THREADS,
    BackupError,
    FileEntry,
    Manifest,
    check_files,
    read_manifest,
    write_manifest,
)
from .removals_kept import FOLDER as REMOVALS
from .removals_kept import add_removals
from .states import state_files

_OBJECTS = """
    SELECT row->>'sha256' FROM artifacts, jsonb_array_elements(manifest) row UNION SELECT sha256 FROM uploads
"""
_STATES = "SELECT id, checkpoint, earlier_checkpoints FROM runs WHERE checkpoint IS NOT NULL AND state != 'succeeded'"
_IMAGES = """
    SELECT upload FROM predictions WHERE state = 'queued' AND upload IS NOT NULL
    UNION SELECT upload FROM engagement WHERE state = 'queued' AND upload IS NOT NULL
"""


def back_up(database_url: str, storage: Storage, target: Path) -> Manifest:
    """Back up into a new folder, which appears when it is complete.

    Raises BackupError if ``target`` holds anything, or the database has no tables of ours.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} exists already: name a new folder")
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with _holding_off_sweeps(database_url) as lock:
        with rows.snapshot(database_url) as connection:
            created_at = datetime.now(UTC)
            revision, tables = rows.copy_out(connection, part)
            named = _named_files(connection, storage)
        files, missing = _copy_files(storage, named, part)
        _require_held(lock)
    write_manifest(
        part,
        Manifest(
            created_at=created_at,
            revision=revision,
            tables=tuple(tables),
            files=tuple(files),
            missing=tuple(sorted(missing)),
        ),
    )
    if target.exists():
        target.rmdir()
    part.rename(target)
    return read_manifest(target)


def restore(source: Path, database_url: str, storage: Storage, removals: Path | None = None) -> Manifest:
    """Check a backup, and restore it into an empty database and storage; then check what is there.

    The storage may keep removals of posts, and ``removals`` is a folder with those of a lost one: workers apply all
    that are newer than the backup (``removal_work.restore_kept``). A restore that was killed can be repeated.

    Raises BackupError if the backup is damaged or of a newer version, or if the database or the storage is not empty,
    and UnknownRevision for a database of a version that is not known.
    """
    manifest = read_manifest(source)
    if manifest.revision not in known_revisions():
        raise BackupError(
            f"the backup has revision {manifest.revision!r}, which this version does not know: restore it with the "
            "version that made it, or a newer one"
        )
    check_files(source, (*manifest.tables, *manifest.files))
    rows.require_empty(database_url)
    paths = {entry.path.removeprefix(f"{STORAGE}/"): entry for entry in manifest.files}
    stored = (path for path, _ in storage.files("") if not path.startswith(f"{REMOVALS}/"))
    if foreign := next((path for path in stored if path not in paths), None):
        raise BackupError(
            f"the storage is not empty: it has {foreign}. Restore into an empty storage: another VISE_STORAGE_URL, or "
            "another home"
        )
    # First of all: a restore that is killed later, and a server that is started then, does not bring posts back.
    add_removals(storage, removals)
    with ThreadPoolExecutor(THREADS, "restore") as threads:
        for _ in threads.map(
            lambda path: storage.place(source / paths[path].path, path, paths[path].sha256), paths
        ):
            pass
        problems = [
            path
            for path, differs in zip(paths, threads.map(_differs(storage, paths), paths), strict=True)
            if differs
        ]
    if problems:
        raise BackupError(
            f"{len(problems)} files differ in the storage after they were written: {problems[0]}"
        )
    migrate(database_url)  # Raises if the tables are of an unknown revision.
    config = alembic_config(database_url)
    command.downgrade(config, "base")
    migrate(database_url, manifest.revision)
    rows.copy_in(database_url, source, manifest.tables)
    migrate(database_url)
    return manifest


def _differs(storage: Storage, paths: dict[str, FileEntry]) -> Any:
    return lambda path: storage.digest(path) != paths[path].sha256


@contextmanager
def _holding_off_sweeps(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold the lock that keeps sweeps and workers from removing files; it ends with this process."""
    with open_connection(UNLIMITED, plain_url(url), autocommit=True, **UNLIMITED.arguments()) as lock:
        lock.execute("SELECT pg_advisory_lock(%s)", [BACKUP_LOCK])
        yield lock


def _require_held(lock: psycopg.Connection[Any]) -> None:
    try:
        lock.execute("SELECT 1")
    except psycopg.Error as error:
        raise BackupError(
            "the connection to the database was lost meanwhile, so files may have been removed: back up again"
        ) from error


def _named_files(connection: psycopg.Connection[Any], storage: Storage) -> dict[str, str | None]:
    """Return path → digest of all files that the snapshot's rows name; None where no digest is known."""
    named: dict[str, str | None] = {}
    for (sha256,) in connection.execute(_OBJECTS):
        named[f"objects/{sha256[:2]}/{sha256}"] = sha256
    for run_id, newest, earlier in connection.execute(_STATES):
        for name in (newest, *earlier):
            for path in state_files(storage, UUID(str(run_id)), name):
                named[path] = path.rpartition("/")[2]
    for (key,) in connection.execute(_IMAGES):
        named[f"uploads/{key}"] = None
    return named


def _copy_files(
    storage: Storage, named: dict[str, str | None], folder: Path
) -> tuple[list[FileEntry], list[str]]:
    """Copy the files; return those that were copied, and the paths of those that are gone or damaged."""

    def copy(path: str) -> FileEntry | None:
        target = folder / STORAGE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            storage.fetch(path, target)
        except StorageError:
            return None
        entry = FileEntry(path=f"{STORAGE}/{path}", size=target.stat().st_size, sha256=file_sha256(target))
        if named[path] not in (None, entry.sha256):
            target.unlink()
            return None
        target.chmod(0o444)
        return entry

    with ThreadPoolExecutor(THREADS, "backup") as threads:
        entries = dict(zip(named, threads.map(copy, named), strict=True))
    copied = [entry for entry in entries.values() if entry is not None]
    # An image may be answered, and dropped, while the backup is made.
    missing = [path for path, entry in entries.items() if entry is None and not path.startswith("uploads/")]
    return copied, missing
