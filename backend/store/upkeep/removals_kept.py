"""Removals of posts that were applied, as files of the storage: ``removals/<id>.json``.

They outlive the database: an older backup that is restored beside them, or with them, does not bring the posts back.
"""

from __future__ import annotations

import logging
import tempfile
from datetime import datetime
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.store.registry.storage import Storage, StorageError
from vise_core.errors import BadInput
from vise_core.files.hashing import file_sha256

from .tables import Removal

log = logging.getLogger("vise.removals")
FOLDER = "removals"


class KeptRemoval(BaseModel):
    """The content of ``removals/<id>.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: UUID
    applied_at: datetime
    posts: list[str]


def keep(storage: Storage, removal: Removal) -> None:
    """Keep an applied removal in the storage, before anything is removed."""
    assert removal.applied_at is not None
    content = KeptRemoval(id=removal.id, applied_at=removal.applied_at, posts=removal.posts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{removal.id}.json")
        path.write_text(content.model_dump_json(indent=1))
        _place(storage, path)


def kept(storage: Storage) -> list[KeptRemoval]:
    """Return the removals that the storage keeps. Other files are skipped, and a damaged one is logged."""
    removals = []
    with tempfile.TemporaryDirectory() as folder:
        for path, _ in sorted(storage.files(FOLDER)):
            if not path.endswith(".json"):
                continue
            copy = Path(folder, path.rpartition("/")[2])
            try:
                storage.fetch(path, copy)
                removals.append(_read(copy))
            except (BadInput, StorageError, FileNotFoundError) as error:
                log.warning("the removal %s in the storage is not done again: %s", path, error)
    return removals


def add_removals(storage: Storage, folder: Path | None) -> None:
    """Add the removals of a folder to those that the storage keeps.

    Raises BadInput if there is no such folder, or one of its files is damaged.
    """
    if folder is None:
        return
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise BadInput(
            f"{folder} has no removals of posts: name the folder {FOLDER} of the storage that was lost"
        )
    for path in paths:
        _read(path)
    for path in paths:
        _place(storage, path)


def _place(storage: Storage, path: Path) -> None:
    storage.place(path, f"{FOLDER}/{path.name}", file_sha256(path))


def _read(path: Path) -> KeptRemoval:
    try:
        return KeptRemoval.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadInput(f"{path}: {error.errors()[0]['msg']}; it must be as vise wrote it") from error
