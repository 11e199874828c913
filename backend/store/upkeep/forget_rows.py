"""Ids of posts in the rows of all tables: results, surveys, log lines, error messages, notes, names, the audit log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from sqlalchemy import JSON, Column, Table, Text, cast, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from backend.store.tables import Base
from vise_core.files import listing
from vise_core.formats.holding import Wanted

REMOVED = "[removed]"
UNSEARCHED = {
    "removals": "the request itself, which keeps a restored backup from bringing the posts back",
    "cleared_caches": "names of workers",
    "garbage": "digests of objects",
    "users": "addresses of users",
    "tokens": "names that users gave to their tokens, and digests",
    "login_attempts": "addresses of users and hosts",
    "request_keys": "digests of requests",
    "workers": "names of processes, devices and queues",
    "dispatchers": "names of processes",
    "outbox": "names of tasks",
    "artifacts.manifest": "paths of files: the artifact itself is rewritten or removed",
    "datasets.folder": "the path of a user's own folder",
}
"""Tables and columns that are not searched, and why. Primary keys are not searched either: others refer to them."""
_KINDS = {
    "runs.result": "results of runs",
    "runs.progress": "progress of runs",
    "runs.reason": "reasons of runs",
    "runs.error": "error messages of runs",
    "runs.notes": "notes of runs",
    "run_logs.message": "log lines",
    "dataset_versions.found": "surveys of data sets",
    "dataset_versions.listing": "listings of folders",
    "dataset_reads.listing": "listings of folders",
}
_LISTINGS: tuple[Column[Any], ...] = tuple(
    Base.metadata.tables[table].c.listing for table in ("dataset_versions", "dataset_reads")
)
"""Packed columns (``vise_core.files.listing``) with the paths of files, which may be named after posts."""
_OF_POSTS = {"runs.result", "runs.progress", "dataset_versions.found", "run_logs.message", "runs.error"}
"""Here a whole value that is equal to an id is the id, however short. Elsewhere, ``17`` may be a number of layers."""


def searched_columns() -> list[Column[Any]]:
    """Return the columns of text and JSON that are searched."""
    return [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if table.name not in UNSEARCHED
        and str(column) not in UNSEARCHED
        and not column.primary_key
        and _holds_text(column)
    ]


def _holds_text(column: Column[Any]) -> bool:
    kind = column.type.item_type if isinstance(column.type, ARRAY) else column.type
    # String with a length is for words of ours, such as states.
    return isinstance(kind, Text | JSON)


def find(db: Session, wanted: Wanted) -> list[str]:
    """Return how many rows of each kind name a post."""
    counts: dict[str, int] = {}
    for _, _, changes in _changes(db, wanted):
        for column in changes:
            kind = _KINDS.get(str(column), f"rows of {column.table.name} in {column.name}")
            counts[kind] = counts.get(kind, 0) + 1
    return [f"{count} {kind}" for kind, count in counts.items()]


def forget(db: Session, wanted: Wanted) -> None:
    """Replace the ids by ``REMOVED``."""
    for table, key, changes in list(_changes(db, wanted)):
        db.execute(update(table).where(tuple_(*table.primary_key.columns) == key).values(changes))


def _changes(db: Session, wanted: Wanted) -> Iterator[tuple[Table, Any, dict[Column[Any], Any]]]:
    """Yield (table, key, new values) of each row that names a post."""
    patterns = cast([f"%{_escaped(spelling)}%" for spelling in sorted(_spellings(wanted))], ARRAY(Text))
    tables: dict[Table, list[Column[Any]]] = {}
    for column in searched_columns():
        tables.setdefault(column.table, []).append(column)
    for table, columns in tables.items():
        keys = list(table.primary_key.columns)
        contains = or_(*(cast(column, Text).op("LIKE")(func.any(patterns)) for column in columns))
        for row in db.execute(select(*keys, *columns).where(contains)):
            key, values = row[: len(keys)], row[len(keys) :]
            changes: dict[Column[Any], Any] = {}
            for column, value in zip(columns, values, strict=True):
                removed = f"[removed {str(key[0])[-12:]}]" if column.unique else REMOVED
                changed = _without(value, wanted, removed, whole=str(column) in _OF_POSTS)
                if changed != value:
                    changes[column] = changed
            if changes:
                yield table, tuple_(*key), changes
    for column in _LISTINGS:
        keys = list(column.table.primary_key.columns)
        for key in db.execute(select(*keys).where(column.is_not(None))).all():
            packed = db.scalar(select(column).where(tuple_(*keys) == key))
            rows = listing.unpack(packed) if packed is not None else {}
            renamed = {_without_name(path, wanted): mark for path, mark in rows.items()}
            if renamed.keys() != rows.keys():
                yield column.table, tuple_(*key), {column: listing.pack(renamed.items())}


def _without_name(path: bytes, wanted: Wanted) -> bytes:
    """Return the path of a file without the id that it is named after; a removed name differs from the folder's."""
    folder, slash, name = path.rpartition(b"/")
    stem, dot, suffix = name.partition(b".")
    if os.fsdecode(stem) in wanted.of_name:
        path = folder + slash + REMOVED.encode() + dot + suffix
    return wanted.pattern.sub(REMOVED.encode(), path)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _spellings(wanted: Wanted) -> set[str]:
    return {spelling for name in wanted.of_name for spelling in (name, json.dumps(name)[1:-1])}


def _without(value: Any, wanted: Wanted, removed: str, *, whole: bool) -> Any:
    if isinstance(value, dict):
        return {
            _without(key, wanted, removed, whole=whole): _without(inner, wanted, removed, whole=whole)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without(inner, wanted, removed, whole=whole) for inner in value]
    if not isinstance(value, str):
        return value
    if whole and value in wanted.of_name:
        return removed
    return wanted.pattern.sub(removed.encode(), value.encode()).decode()
