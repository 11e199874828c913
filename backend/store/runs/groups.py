"""Runs that differ only in seed and split, as one row: mean, sample std, and missing repetitions."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, Uuid, and_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import array, distinct_on
from sqlalchemy.orm import Session

from backend.store.cursors import bad_cursor, read_cursor, write_cursor
from backend.store.errors import Invalid
from backend.store.metrics.tables import MetricLatest
from backend.store.runs.query.conditions import finite, metric_value
from backend.store.runs.query.fields import Field, find_field
from backend.store.runs.tables import Run, RunParam
from vise_client.schemas.run_lists import GroupMetric, GroupPage, RunGroup
from vise_client.schemas.run_states import RunState

from .run_list import FIRST_PAGE, Paging, RunFilter, column_fields, column_values

SORTS = ("created", "stage", "runs")
SUCCEEDED = RunState.succeeded.value


def list_groups(db: Session, run_filter: RunFilter, paging: Paging = FIRST_PAGE) -> GroupPage:
    """Return a page of groups that have a matching run; numbers are over matching runs and all that are not archived.

    Otherwise a filter such as metric.val_accuracy > 60 would average only the lucky seeds. Raises Invalid for a query,
    column, sort key or cursor that is not valid.
    """
    fields = column_fields(paging.columns)
    now = datetime.now(UTC)
    # Only runs of stages have a group key.
    matching = [Run.group_key.is_not(None), *run_filter.conditions(now)]
    descending, by = paging.order
    newest = cast(func.max(cast(Run.id, String)), Uuid).label("newest")
    keys = select(Run.group_key, newest).where(*matching).group_by(Run.group_key)
    value = _value(db, by, matching)
    if value is None:
        groups = keys.subquery()
        order: list[Any] = [groups.c.newest]
        sorted_by: Any = None
    else:
        valued = value.subquery()
        base = keys.subquery()
        groups = (
            select(base.c.group_key, base.c.newest, valued.c.value)
            .outerjoin(valued, valued.c.group_key == base.c.group_key)
            .subquery()
        )
        sorted_by = groups.c.value
        order = [sorted_by, groups.c.newest]
    statement = select(groups)
    if paging.cursor is not None:
        edge = _read_cursor(paging.cursor, paging.sort)
        statement = statement.where(_after(sorted_by, groups.c.newest, edge, descending))
    ordered = [(o.desc() if descending else o.asc()).nulls_last() for o in order]
    rows = db.execute(statement.order_by(*ordered).limit(paging.limit + 1)).all()
    next_cursor = None
    if len(rows) > paging.limit:
        last = rows[paging.limit - 1]
        value = None if sorted_by is None else last.value
        value = value if value is None or isinstance(value, str | int) else float(value)
        next_cursor = write_cursor("groups", paging.sort, value, str(last.newest))
    shown = [row.group_key for row in rows[: paging.limit]]
    total = None
    if paging.count:
        total = db.scalar(select(func.count(Run.group_key.distinct())).where(*matching))
    return GroupPage(items=_groups(db, shown, matching, fields), next_cursor=next_cursor, total=total)


def _members(matching: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Condition: the run counts in its group's numbers."""
    return or_(and_(Run.group_key.is_not(None), Run.archived.is_(False)), and_(*matching))


def _value(db: Session, by: str, matching: Sequence[ColumnElement[bool]]) -> Any:
    """Return a query of (group_key, value to sort by); None for the order of creation. Raises Invalid."""
    if by == "created":
        return None
    if by == "runs":
        counted = select(Run.group_key, func.count().label("value")).where(_members(matching))
        return counted.group_by(Run.group_key)
    if by == "stage":
        staged = select(Run.group_key, func.min(Run.stage).label("value")).where(*matching)
        return staged.group_by(Run.group_key)
    field = find_field(by)
    if isinstance(field, str) or field.kind not in ("spec", "metric"):
        raise Invalid(
            "sort", f"groups sort by {', '.join(SORTS)}, spec.… or metric.…, with - in front for descending"
        )
    if field.kind == "metric":
        # Of several runs of one replicate, the newest counts.
        repeats = (
            select(Run.group_key, Run.id)
            .ext(distinct_on(Run.group_key, Run.replicate))
            .where(Run.state == SUCCEEDED, _members(matching))
            .order_by(Run.group_key, Run.replicate, Run.id.desc())
            .subquery()
        )
        number = metric_value(field.rule)
        numbers = (
            func.coalesce(MetricLatest.finals, array([number])) if field.rule == "final" else array([number])
        )
        each = func.unnest(numbers).table_valued("one").render_derived(name="each")
        return (
            select(repeats.c.group_key, func.avg(each.c.one).label("value"))
            .join(MetricLatest, and_(MetricLatest.run_id == repeats.c.id, MetricLatest.key == field.key))
            .join(each, finite(each.c.one))
            .group_by(repeats.c.group_key)
        )
    mine = (RunParam.path == field.key, RunParam.position == 0)
    numeric = db.scalar(select(RunParam.number).where(*mine, RunParam.number.is_not(None)).limit(1))
    leaf = RunParam.number if numeric is not None else RunParam.text
    return (
        select(Run.group_key, func.min(leaf).label("value"))
        .join(RunParam, and_(RunParam.run_id == Run.id, *mine))
        .where(*matching)
        .group_by(Run.group_key)
    )


def _groups(
    db: Session, keys: Sequence[str], matching: Sequence[ColumnElement[bool]], columns: Sequence[Field]
) -> list[RunGroup]:
    if not keys:
        return []
    parent = Run.__table__.alias("parent")
    rows = db.execute(
        select(
            Run.group_key,
            Run.id,
            Run.replicate,
            Run.state,
            Run.requested,
            Run.name,
            Run.stage,
            Run.tags,
            Run.synthetic,
            Run.created_at,
            Run.parent_id,
            parent.c.name.label("parent_name"),
        )
        .outerjoin(parent, parent.c.id == Run.parent_id)
        .where(Run.group_key.in_(keys), _members(matching))
        .order_by(Run.id.desc())
    ).all()
    members: dict[str, list[Any]] = {key: [] for key in keys}
    for row in rows:
        members[row.group_key].append(row)
    # Newest first: of several runs of one replicate, the newest counts.
    counted: dict[str, dict[str, UUID]] = {key: {} for key in keys}
    for row in rows:
        if row.state == SUCCEEDED:
            counted[row.group_key].setdefault(row.replicate, row.id)
    metrics = [c for c in columns if c.kind == "metric"]
    values = _metric_values(db, [id_ for ids in counted.values() for id_ in ids.values()], metrics)
    params = [c for c in columns if c.kind == "spec"]
    specs = column_values(db, [row.id for row in rows] if params else [], params)
    return [
        _group(
            members[key],
            list(counted[key].values()),
            metrics,
            values,
            _common([specs.get(row.id, {}) for row in members[key]]),
        )
        for key in keys
        if members[key]
    ]


def _common(columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return each column's common value; where members differ (seeds, splits), the sorted list of their values."""
    common: dict[str, Any] = {}
    for name in {name for row in columns for name in row}:
        distinct = {json.dumps(row[name]): row[name] for row in columns if name in row}
        several = list(distinct.values())
        common[name] = several[0] if len(several) == 1 else sorted(several, key=str)
    return common


def _group(
    members: Sequence[Any],
    counted: Sequence[UUID],
    metrics: Sequence[Field],
    values: Mapping[tuple[UUID, str], list[float]],
    columns: dict[str, Any],
) -> RunGroup:
    newest = members[0]
    states = Counter(row.state for row in members)
    requested = max(len({row.replicate for row in members}), *(row.requested for row in members))
    values_by_metric = {}
    for metric in metrics:
        numbers = [v for id_ in counted for v in values.get((id_, metric.name), ())]
        if numbers:
            std = stdev(numbers) if len(numbers) > 1 else None
            values_by_metric[metric.name] = GroupMetric(mean=fmean(numbers), std=std, n=len(numbers))
    return RunGroup(
        group_key=newest.group_key,
        name=_name(members),
        stage=newest.stage,
        newest=newest.id,
        created_at=newest.created_at,
        tags=sorted({tag for row in members for tag in row.tags}),
        synthetic=any(row.synthetic for row in members),
        runs=len(members),
        requested=requested,
        succeeded=len(counted),
        states=dict(states),
        repeats=states[SUCCEEDED] - len(counted),
        warning=_warning(requested, len(counted), states),
        metrics=values_by_metric,
        columns=columns,
    )


def _warning(requested: int, succeeded: int, states: Mapping[str, int]) -> str:
    """Return what is missing from a group; empty if all requested repetitions have succeeded."""
    if succeeded >= requested:
        return ""
    parts = [f"{n} {state}" for state, n in sorted(states.items()) if state != SUCCEEDED]
    missing = requested - succeeded - sum(n for state, n in states.items() if state != SUCCEEDED)
    if missing > 0:
        parts.append(f"{missing} deleted or archived")
    if requested == 1:
        return f"no run has succeeded: {', '.join(parts)}"
    return f"{succeeded} of {requested} seeds and splits" + (f": {', '.join(parts)}" if parts else "")


def _name(members: Sequence[Any]) -> str:
    """Return what the members' names share: "base lr 0.1" of "base lr 0.1, seed 3" and "base lr 0.1, seed 4"."""
    parts = members[0].name.split(", ")
    common = [p for p in parts if all(p in row.name.split(", ") for row in members)]
    name = ", ".join(common)
    parents = {row.parent_name for row in members}
    if parents != {None} and len(parents) == 1 and len(members) > 1:
        (parent,) = parents
        return f"{parent}: {name}" if name else str(parent)
    return name or members[0].name


def _metric_values(
    db: Session, run_ids: Sequence[UUID], metrics: Sequence[Field]
) -> dict[tuple[UUID, str], list[float]]:
    """Return {(run, column): values}: several values where a result is a mean over splits."""
    values: dict[tuple[UUID, str], list[float]] = {}
    if not run_ids or not metrics:
        return values
    by_key: dict[str, list[Field]] = {}
    for metric in metrics:
        by_key.setdefault(metric.key, []).append(metric)
    rows = db.scalars(
        select(MetricLatest).where(MetricLatest.run_id.in_(run_ids), MetricLatest.key.in_(by_key))
    )
    for row in rows:
        ruled = {
            "final": row.final if row.final is not None else row.value,
            "last": row.value,
            "min": row.min,
            "max": row.max,
            "best": row.at_best,
        }
        for metric in by_key[row.key]:
            numbers = row.finals if metric.rule == "final" and row.finals else [ruled[metric.rule]]
            kept = [v for v in numbers if v is not None and math.isfinite(v)]
            if kept:
                values[row.run_id, metric.name] = kept
    return values


def _after(value: Any, newest: Any, edge: tuple[Any, UUID], descending: bool) -> ColumnElement[bool]:
    """Condition: the group comes after the last one of the previous page; groups without a value come last."""
    edge_value, last = edge
    behind = newest < last if descending else newest > last
    if value is None:
        return behind  # type: ignore[no-any-return]
    if edge_value is None:
        return and_(value.is_(None), behind)
    beyond = value < edge_value if descending else value > edge_value
    return or_(value.is_(None), beyond, and_(value == edge_value, behind))


def _read_cursor(cursor: str, sort: str) -> tuple[Any, UUID]:
    try:
        value, newest = read_cursor(cursor, "groups", sort)
        return value, UUID(newest)
    except (ValueError, TypeError, AttributeError):
        raise bad_cursor() from None
