"""What a backup is on disk: a folder with ``backup.json``, the rows in ``database/`` and the files in ``storage/``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vise_core.errors import BadInput, ViseError
from vise_core.files.hashing import file_sha256
from vise_core.files.names import contained

MANIFEST, DATABASE, STORAGE = "backup.json", "database", "storage"
THREADS = 16


class BackupError(ViseError):
    """A backup cannot be made, is damaged, or cannot be restored here."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Entry):
    """A file of the backup, by its path below the folder."""

    path: str
    size: int = Field(ge=0)
    sha256: str


class TableEntry(FileEntry):
    """The rows of a table, in PostgreSQL's text format of COPY."""

    table: str
    columns: tuple[str, ...]
    rows: int = Field(ge=0)


class Manifest(_Entry):
    """The content of ``backup.json``.

    ``missing``: files that rows name, but that the storage did not have, or had damaged, when the backup was made.
    """

    format: Literal["vise-backup-1"] = "vise-backup-1"
    created_at: datetime
    revision: str = Field(description="Alembic revision of the tables.")
    tables: tuple[TableEntry, ...]
    files: tuple[FileEntry, ...]
    missing: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in (*self.tables, *self.files))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``backup.json``, which makes the backup complete."""
    with (folder / MANIFEST).open("w") as file:
        file.write(manifest.model_dump_json(indent=1))
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Read ``backup.json``. Raises BackupError if it is missing or damaged."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise BackupError(
            f"{folder} is not a complete backup: it has no {MANIFEST}. Name the folder of `vise backup`"
        ) from error
    except ValidationError as error:
        raise BackupError(f"{folder / MANIFEST} is damaged: {error.errors()[0]['msg']}") from error


def check_files(folder: Path, entries: Iterable[FileEntry]) -> None:
    """Raise BackupError unless each file is there with its size and digest, and names no place outside the folder."""
    with ThreadPoolExecutor(THREADS, "check") as threads:
        problems = [problem for problem in threads.map(lambda e: _problem(folder, e), entries) if problem]
    if problems:
        raise BackupError(
            f"{len(problems)} files of the backup are damaged: {'; '.join(problems[:3])}. Restore another backup"
        )


def _problem(folder: Path, entry: FileEntry) -> str | None:
    try:
        path = contained(folder, entry.path, MANIFEST)
        if path.stat().st_size != entry.size or file_sha256(path) != entry.sha256:
            return f"{entry.path} has another content"
    except FileNotFoundError:
        return f"{entry.path} is missing"
    except (OSError, BadInput) as error:
        return f"{entry.path}: {error}"
    return None
