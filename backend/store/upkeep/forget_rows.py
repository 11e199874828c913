"""Ids of posts in rows: results of runs and surveys, log lines and error messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Text, cast, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.store.registry.tables import DatasetVersion
from backend.store.runs.tables import Run, RunLog
from vise_core.formats.holding import Wanted

REMOVED = "[removed]"
_DOCUMENTS: tuple[tuple[Any, InstrumentedAttribute[Any], str], ...] = (
    (Run.id, Run.result, "results of runs"),
    (Run.id, Run.progress, "progress of runs"),
    (DatasetVersion.id, DatasetVersion.survey, "surveys of data sets"),
)
_TEXTS: tuple[tuple[Any, InstrumentedAttribute[Any], str], ...] = (
    (RunLog.id, RunLog.message, "log lines"),
    (Run.id, Run.reason, "reasons of runs"),
    (Run.id, Run.error, "error messages of runs"),
    (Run.id, Run.notes, "notes of runs"),
)


def find(db: Session, wanted: Wanted) -> list[str]:
    """Return how many rows of each kind name a post."""
    counts: dict[str, int] = {}
    for _, _, _, kind in _changes(db, wanted):
        counts[kind] = counts.get(kind, 0) + 1
    return [f"{count} {kind}" for kind, count in counts.items()]


def forget(db: Session, wanted: Wanted) -> None:
    """Replace the ids by ``REMOVED``."""
    for key, row_id, changes, _ in list(_changes(db, wanted)):
        db.execute(update(key.class_).where(key == row_id).values(changes))


def _changes(db: Session, wanted: Wanted) -> Iterator[tuple[Any, Any, dict[Any, Any], str]]:
    """Yield (key column, key, new values, kind) of each row that names a post."""
    for key, column, kind in (*_DOCUMENTS, *_TEXTS):
        text = cast(column, Text)
        contains = or_(*(text.contains(s, autoescape=True) for s in _spellings(wanted)))
        for row_id, value in db.execute(select(key, column).where(column.is_not(None), contains)):
            changed = _without(value, wanted)
            if changed != value:
                yield key, row_id, {column: changed}, kind


def _spellings(wanted: Wanted) -> set[str]:
    return {spelling for name in wanted.of_name for spelling in (name, json.dumps(name)[1:-1])}


def _without(value: Any, wanted: Wanted) -> Any:
    if isinstance(value, dict):
        return {_without(key, wanted): _without(inner, wanted) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, wanted) for inner in value]
    if not isinstance(value, str):
        return value
    if value in wanted.of_name:
        return REMOVED
    return wanted.pattern.sub(REMOVED.encode(), value.encode()).decode()
