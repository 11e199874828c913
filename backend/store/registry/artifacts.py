"""Artifacts of runs. A row exists only if all of its files are in storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, undefer

from backend.store.errors import NotFound
from backend.store.registry.tables import Artifact
from backend.store.rows import get_row
from backend.store.runs.states.lease import check_token
from backend.store.upkeep import marks
from vise_core.errors import BadInput
from vise_core.files.hashing import manifest_sha256, tree_manifest
from vise_core.files.names import contained, printable_name, printable_text
from vise_core.files.tars import END, tar_member

from .storage import Storage, StorageError


def describe(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Return (manifest, digest of the whole) of a file or folder.

    Raises BadInput for a file name that is not UTF-8, which a manifest cannot contain.
    """
    manifest = tree_manifest(path)
    invalid = next((row["path"] for row in manifest if printable_text(row["path"]) != row["path"]), None)
    if invalid is not None:
        raise BadInput(f"the file name {printable_name(invalid)} is not UTF-8 text; rename the file")
    return manifest, manifest[0]["sha256"] if path.is_file() else manifest_sha256(manifest)


def claim(db: Session, manifest: list[dict[str, Any]]) -> None:
    """Keep a sweep from removing these files: call it before they are stored."""
    marks.claim(db, {row["sha256"] for row in manifest})


def store(storage: Storage, path: Path, manifest: list[dict[str, Any]]) -> None:
    """Store the files of a manifest. Slow: call it outside a transaction."""
    storage.put_all({row["sha256"]: path if path.is_file() else path / row["path"] for row in manifest})


def upload(storage: Storage, path: Path) -> tuple[list[dict[str, Any]], str]:
    """Store every file of a new folder and return (manifest, digest of the whole), as ``describe`` does."""
    manifest, sha256 = describe(path)
    store(storage, path, manifest)
    return manifest, sha256


def record(
    db: Session,
    run_id: UUID,
    token: int,
    name: str,
    manifest: list[dict[str, Any]],
    sha256: str,
    folder: bool,
) -> None:
    """Insert an artifact's row, or replace the one of this name, under the run's token.

    Raises StaleToken if the run is no longer held with ``token``; ObjectsRemoved if its files must be stored again,
    after ``claim``.
    """
    check_token(db, run_id, token)
    marks.mark_artifacts(db, [run_id], name)
    marks.require(db, {row["sha256"] for row in manifest})
    values = {
        "sha256": sha256,
        "size": sum(row["size"] for row in manifest),
        "files": len(manifest),
        "folder": folder,
        "manifest": manifest,
    }
    statement = insert(Artifact).values(run_id=run_id, name=name, **values)
    db.execute(statement.on_conflict_do_update(index_elements=["run_id", "name"], set_=values))


def get(db: Session, artifact_id: UUID) -> Artifact:
    """Return an artifact. Raises NotFound if no artifact has this id."""
    return get_row(db, Artifact, artifact_id, "artifact")


def of_run(db: Session, run_id: UUID, name: str) -> Artifact:
    """Return a run's artifact by name, with its manifest. Raises NotFound if the run has none of this name."""
    found = select(Artifact).where(Artifact.run_id == run_id, Artifact.name == name)
    artifact = db.scalar(found.options(undefer(Artifact.manifest)))
    if artifact is None:
        raise NotFound(f"the run {run_id} has no artifact named {name!r}")
    return artifact


def file_digest(artifact: Artifact, path: str | None) -> tuple[str, str, int]:
    """Return (path, SHA-256, size) of one file of an artifact. Raises NotFound if the manifest does not list it."""
    for row in artifact.manifest:
        if row["path"] == path or (path is None and not artifact.folder):
            return row["path"], row["sha256"], row["size"]
    raise NotFound(f"the artifact {artifact.name!r} has no file {path!r}")


def materialise(storage: Storage, manifest: list[dict[str, Any]], folder: bool, target: Path) -> Path:
    """Place an artifact's files under ``target``; return the folder, or the path of the only file.

    Raises StorageError if a path leads out of ``target``, or an object is missing or damaged.
    """
    missing = []
    for row in manifest:
        try:
            destination = contained(target, row["path"], "manifest")
        except BadInput as error:
            raise StorageError(str(error)) from error
        if not destination.exists():
            missing.append((row["sha256"], destination))
    storage.get_all(missing)
    target.mkdir(parents=True, exist_ok=True)
    return target if folder else target / manifest[0]["path"]


def as_tar(storage: Storage, artifact: Artifact, folder: str | None = None) -> Iterator[bytes]:
    """Return an artifact as a tar stream, never whole in memory. ``folder``: its name there, if not the artifact's."""
    # The manifest is read here, as the session closes before the response is streamed.
    return _tar(storage, folder or artifact.name, artifact.manifest)


def _tar(storage: Storage, name: str, manifest: list[dict[str, Any]]) -> Iterator[bytes]:
    for row in manifest:
        yield from tar_member(f"{name}/{row['path']}", row["size"], storage.stream(row["sha256"]))
    yield END
