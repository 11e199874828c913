"""Versions of data sets: each content that a survey found, numbered 1, 2, …

A registered folder gets version 1 from its first survey, and the next version from a rescan that finds other content.
An uploaded or downloaded data set never changes: its only version is the artifact's content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.store.registry.tables import Artifact, Dataset, DatasetRead, DatasetVersion
from backend.store.runs import identity
from backend.store.runs.tables import Run, RunLog
from vise_client.schemas.datasets import DatasetVersionView

from .dataset_reads import newest_versions

DATA, SURVEY, ROLE = "data", "survey", "dataset"


def keep_listing(db: Session, run_id: UUID, listing: bytes) -> None:
    """Store a folder's listing from before its survey, so that later changes are noticed."""
    db.execute(
        update(DatasetRead)
        .where(DatasetRead.run_id == run_id, DatasetRead.role == ROLE)
        .values(listing=listing)
    )


def record(db: Session, run_id: UUID, hashes: Mapping[str, str]) -> None:
    """Record the digests that a run read, by role, with the version of equal content, if there is one.

    The run's identity is renewed, as it assumed the newest version.
    """
    reads = db.scalars(select(DatasetRead).where(DatasetRead.run_id == run_id)).all()
    changed = [read for read in reads if hashes.get(read.role) not in (None, read.sha256)]
    newest = newest_versions(db, {read.dataset_id for read in changed})
    for read in changed:
        version = newest.get(read.dataset_id)
        read.sha256 = hashes[read.role]
        read.newest = version.number if version else None
        read.version = db.scalar(
            select(func.max(DatasetVersion.number)).where(
                DatasetVersion.dataset_id == read.dataset_id, DatasetVersion.sha256 == read.sha256
            )
        )
    db.flush()
    if changed:
        identity.renew(db, run_id)


def note_end(db: Session, run: Run, result: Mapping[str, Any] | None) -> None:
    """Record what a succeeded run read; after a survey or fetch, also make a version of the content found."""
    record(db, run.id, ((result or {}).get("provenance") or {}).get("inputs") or {})
    if run.stage == "fetch":
        dataset = _held(db, Dataset.run_id == run.id)
        artifact = db.scalar(select(Artifact).where(Artifact.run_id == run.id, Artifact.name == DATA))
        if dataset is not None and artifact is not None:
            _found(db, dataset, run, result, artifact.sha256, artifact.files, artifact.size, None)
    elif run.stage == SURVEY and result is not None:
        read = db.get(DatasetRead, (run.id, ROLE))
        dataset = _held(db, Dataset.id == read.dataset_id) if read is not None else None
        # A survey for something else than what the data set holds counts other things.
        if read is None or dataset is None or dataset.folder is None or result["kind"] != dataset.kind:
            return
        if read.sha256 is not None:
            _found(db, dataset, run, result, read.sha256, result["files"], result["bytes"], read.listing)
        read.listing = None


def _held(db: Session, condition: Any) -> Dataset | None:
    """Return the data set, locked, so that two surveys that end at once make versions one after the other."""
    return db.scalar(select(Dataset).where(condition).with_for_update())


def _found(
    db: Session,
    dataset: Dataset,
    run: Run,
    result: Mapping[str, Any] | None,
    sha256: str,
    files: int,
    size: int,
    listing: bytes | None,
) -> None:
    """Make the next version unless the newest has this content, and write the result to the run's log."""
    version = newest_versions(db, [dataset.id]).get(dataset.id)
    if version is not None and version.sha256 == sha256:
        message = f"Nothing has changed since version {version.number} of {dataset.name}."
    else:
        number = version.number + 1 if version is not None else 1
        message = f"This is version {number} of {dataset.name}: {files:,} files, SHA-256 {sha256}."
        version = DatasetVersion(
            dataset_id=dataset.id, number=number, sha256=sha256, files=files, size=size, run_id=run.id
        )
        db.add(version)
    version.survey_id, version.checked_at = run.id, func.now()
    version.survey = None if result is None else {k: v for k, v in result.items() if k != "provenance"}
    version.listing = listing
    db.add(RunLog(run_id=run.id, level="info", message=message))
    db.flush()
    db.execute(
        update(DatasetRead)
        .where(DatasetRead.dataset_id == dataset.id, DatasetRead.sha256 == sha256)
        .where(DatasetRead.version.is_(None))
        .values(version=version.number)
    )


def list_versions(
    db: Session, dataset_id: UUID, *, before: int | None = None, limit: int = 20
) -> list[DatasetVersionView]:
    """Return a data set's versions, newest first; with ``before``, only those with a lower number."""
    statement = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id)
    if before is not None:
        statement = statement.where(DatasetVersion.number < before)
    rows = db.scalars(statement.order_by(DatasetVersion.number.desc()).limit(limit)).all()
    return views(db, rows)


def views(db: Session, rows: Sequence[DatasetVersion]) -> list[DatasetVersionView]:
    """Return versions, each with its number of reading runs (without surveys) and first version of equal content."""
    ids = {row.dataset_id for row in rows}
    counted = db.execute(
        select(DatasetRead.dataset_id, DatasetRead.version, func.count())
        .join(Run, Run.id == DatasetRead.run_id)
        .where(DatasetRead.dataset_id.in_(ids), DatasetRead.version.is_not(None), Run.stage != SURVEY)
        .group_by(DatasetRead.dataset_id, DatasetRead.version)
    )
    runs = {(dataset, number): count for dataset, number, count in counted}
    firsts = db.execute(
        select(DatasetVersion.dataset_id, DatasetVersion.sha256, func.min(DatasetVersion.number))
        .where(DatasetVersion.dataset_id.in_(ids))
        .group_by(DatasetVersion.dataset_id, DatasetVersion.sha256)
    )
    first = {(dataset, sha256): number for dataset, sha256, number in firsts}
    views = []
    for row in rows:
        same = first.get((row.dataset_id, row.sha256))
        views.append(
            DatasetVersionView.of(
                row,
                bytes=row.size,
                runs=runs.get((row.dataset_id, row.number), 0),
                same_as=same if same != row.number else None,
            )
        )
    return views
