"""Data sets: folders below the server's data root, by name. A request never names any other path."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vise_client.schemas import DatasetCreate

from .errors import Conflict, Invalid, NotFound
from .tables import Dataset


def register(db: Session, root: Path | None, request: DatasetCreate) -> Dataset:
    """Raises Invalid where the folder is not below the data root, Conflict where the name is taken."""
    folder = resolve(root, request.folder)
    dataset = Dataset(**request.model_dump(), synthetic=_says_synthetic(folder))
    try:
        with db.begin_nested():
            db.add(dataset)
    except IntegrityError as error:
        raise Conflict(f"there is a data set named {request.name!r} already") from error
    return dataset


def resolve(root: Path | None, folder: str) -> Path:
    """The folder on this machine. Links are followed before it is checked, so none leads out."""
    if root is None:
        raise Invalid("folder", "this server has no data root: set VISE_DATA_ROOT and start it again")
    place = (root / folder).resolve()
    if not place.is_relative_to(root.resolve()) or "\0" in folder:
        raise Invalid("folder", "must lie below the server's data root")
    if not place.is_dir():
        raise Invalid("folder", f"there is no folder {folder!r} below the server's data root")
    return place


def get(db: Session, dataset_id: UUID) -> Dataset:
    dataset = db.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(f"there is no data set {dataset_id}")
    return dataset


def list_datasets(db: Session) -> list[Dataset]:
    return list(db.scalars(select(Dataset).order_by(Dataset.name).limit(10_000)))


def delete(db: Session, dataset_id: UUID) -> None:
    """Forget the entry; the files stay."""
    db.delete(get(db, dataset_id))


def _says_synthetic(folder: Path) -> bool:
    for name in ("dataset.json", "index.json"):
        try:
            return bool(json.loads((folder / name).read_bytes()).get("synthetic"))
        except (OSError, ValueError, AttributeError):
            continue
    return False
