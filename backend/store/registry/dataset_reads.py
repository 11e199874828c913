"""Records of the data set content that runs read: the name at creation, the digest once it is hashed.

A record names a version only if the digests are equal. If a run finds a folder changed, it continues, and its record
has no version but the newest one at that time. When a rescan finds the same content, the record gets that version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from backend.store.registry.tables import Dataset, DatasetRead, DatasetVersion
from backend.store.runs.tables import Run
from vise_client.schemas.datasets import DatasetReadView


def newest_digests(db: Session, runs: Iterable[Run]) -> dict[UUID, dict[str, str]]:
    """Return {run: {role: digest of the newest version of the data set}} of new runs, where it is known."""
    refs = {run.id: _datasets(run) for run in runs}
    newest = newest_versions(db, {dataset_id for roles in refs.values() for dataset_id in roles.values()})
    return {
        run_id: {
            role: newest[dataset_id].sha256 for role, dataset_id in roles.items() if dataset_id in newest
        }
        for run_id, roles in refs.items()
    }


def record(db: Session, runs: Iterable[Run]) -> None:
    """Record the data sets that new runs, which are in the database, will read."""
    refs = {run.id: _datasets(run) for run in runs}
    names = _names(db, {dataset_id for roles in refs.values() for dataset_id in roles.values()})
    rows = [
        {"run_id": run_id, "role": role, "dataset_id": dataset_id, "name": names[dataset_id]}
        for run_id, roles in refs.items()
        for role, dataset_id in roles.items()
        if dataset_id in names
    ]
    if rows:
        db.execute(insert(DatasetRead), rows)


def _datasets(run: Run) -> dict[str, UUID]:
    """Return {role: data set} of a run's inputs."""
    return {role: UUID(str(ref["dataset"])) for role, ref in run.inputs.items() if ref.get("dataset")}


def digests(db: Session, run_id: UUID) -> dict[str, str]:
    """Return {role: digest} of what a run read; where it has not read yet, the newest version's digest."""
    return digests_of(db, [run_id])[run_id]


def digests_of(db: Session, run_ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """Return ``digests`` of many runs, with two queries."""
    reads = db.scalars(select(DatasetRead).where(DatasetRead.run_id.in_(run_ids))).all()
    newest = newest_versions(db, {read.dataset_id for read in reads if read.sha256 is None})
    digests: dict[UUID, dict[str, str]] = {run_id: {} for run_id in run_ids}
    for read in reads:
        version = newest.get(read.dataset_id)
        sha256 = read.sha256 or (version.sha256 if version else None)
        if sha256 is not None:
            digests[read.run_id][read.role] = sha256
    return digests


def newest_versions(db: Session, dataset_ids: Iterable[UUID]) -> dict[UUID, DatasetVersion]:
    """Return the newest version of each data set that has one."""
    ids = list(dataset_ids)
    if not ids:
        return {}
    rows = db.scalars(
        select(DatasetVersion)
        .ext(distinct_on(DatasetVersion.dataset_id))
        .where(DatasetVersion.dataset_id.in_(ids))
        .order_by(DatasetVersion.dataset_id, DatasetVersion.number.desc())
    )
    return {row.dataset_id: row for row in rows}


def views(db: Session, run_ids: Iterable[UUID]) -> dict[UUID, dict[str, DatasetReadView]]:
    """Return {run: {role: read}} with the current names of data sets, with three queries."""
    reads = db.scalars(
        select(DatasetRead).where(DatasetRead.run_id.in_(list(run_ids))).order_by(DatasetRead.role)
    ).all()
    if not reads:
        return {}
    ids = {read.dataset_id for read in reads}
    names = _names(db, ids)
    latest = newest_versions(db, ids)
    views: dict[UUID, dict[str, DatasetReadView]] = {}
    for read in reads:
        version = latest.get(read.dataset_id)
        views.setdefault(read.run_id, {})[read.role] = DatasetReadView.of(
            read,
            name=names.get(read.dataset_id, read.name),
            removed=read.dataset_id not in names,
            latest=version.number if version else None,
        )
    return views


_DELETED_INPUTS = text("""
    WITH RECURSIVE own AS (
        SELECT id AS root, id FROM runs WHERE id = ANY(CAST(:runs AS uuid[]))
        UNION SELECT parent_id, id FROM runs WHERE parent_id = ANY(CAST(:runs AS uuid[]))
    ), read_from AS (
        SELECT root, id FROM own UNION
        SELECT read_from.root, source FROM read_from JOIN runs USING (id), unnest(runs.depends_on) source
    )
    SELECT DISTINCT root, name FROM read_from JOIN dataset_reads ON run_id = id
    WHERE NOT EXISTS (SELECT FROM datasets WHERE datasets.id = dataset_id) ORDER BY root, name
""")


def deleted_inputs(db: Session, run_ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    """Return {run: names of deleted data sets that it, a child of it or a run that it reads from has read}."""
    names: dict[UUID, list[str]] = {}
    for row in db.execute(_DELETED_INPUTS, {"runs": list(run_ids)}):
        names.setdefault(row.root, []).append(row.name)
    return names


def _names(db: Session, dataset_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the current names of the data sets that still exist."""
    ids = list(dataset_ids)
    if not ids:
        return {}
    rows = db.execute(select(Dataset.id, Dataset.name).where(Dataset.id.in_(ids)))
    return {row.id: row.name for row in rows}
