"""Runs that read a data set, with the version that they read."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from backend.store.cursors import newest_first
from backend.store.errors import NotFound
from backend.store.registry.tables import Dataset, DatasetRead
from backend.store.runs.tables import Run
from vise_client.schemas.datasets import DatasetUsage, DatasetUse
from vise_client.schemas.run_states import RunState

from .dataset_versions import SURVEY


def usage(
    db: Session,
    dataset_id: UUID,
    *,
    version: int | None = None,
    unknown: bool = False,
    state: RunState | None = None,
    surveys: bool = False,
    cursor: UUID | None = None,
    limit: int = 20,
) -> DatasetUsage:
    """Return one page of the runs that read a data set, newest first, and the number of runs in each state.

    ``version``: only runs that read this version; ``unknown``: only runs that read content of no known version;
    ``surveys``: include surveys of the data set. Works for a removed data set too, by its id. Raises NotFound if there
    is neither a data set nor a run that read one with this id.
    """
    reads: list[ColumnElement[bool]] = [DatasetRead.dataset_id == dataset_id]
    if version is not None:
        reads.append(DatasetRead.version == version)
    if unknown:
        reads += [DatasetRead.version.is_(None), DatasetRead.sha256.is_not(None)]
    if not surveys:
        reads.append(Run.stage != SURVEY)
    counted = db.execute(
        select(Run.state, func.count(Run.id.distinct()).label("runs"))
        .join(DatasetRead, DatasetRead.run_id == Run.id)
        .where(*reads)
        .group_by(Run.state)
    )
    states = {row.state: row.runs for row in counted}
    if not states and db.get(Dataset, dataset_id) is None:
        raise NotFound(f"there is no data set {dataset_id}")
    # One row a run, also where it reads the data set in two roles.
    page = (
        select(Run, DatasetRead)
        .ext(distinct_on(Run.id))
        .join(DatasetRead, DatasetRead.run_id == Run.id)
        .where(*reads)
    )
    if state is not None:
        page = page.where(Run.state == state.value)
    rows, next_cursor = newest_first(db, page, Run.id, cursor, limit, DatasetRead.role)
    items = [
        DatasetUse.of(read, name=run.name, stage=run.stage, state=run.state, created_at=run.created_at)
        for run, read in rows
    ]
    return DatasetUsage(items=items, next_cursor=next_cursor, states=states)
