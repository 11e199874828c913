"""The run list: filtered, sorted, with chosen columns; a late page costs no more than the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, tuple_
from sqlalchemy.orm import Session, defer

from backend.store.accounts.tables import User
from backend.store.cursors import bad_cursor, read_cursor, write_cursor
from backend.store.errors import Invalid
from backend.store.metrics.marks import wire_number
from backend.store.metrics.tables import MetricLatest
from backend.store.runs.query.conditions import condition, duration, finite, metric_value, phrase
from backend.store.runs.query.fields import RULES, Field, find_field
from backend.store.runs.query.language import parse
from backend.store.runs.tables import Run, RunParam
from vise_client.schemas.runs import RunPage, RunSummary

from . import status

SORTS = ("created", "name", "state", "stage", "duration", "started", "finished")
MAX_COLUMNS = 40
PLAIN = ("result", "runs")
"""Columns that pages compute from each row; they are no fields of queries."""
Kind = Literal["text", "number", "time"]

# A page of runs must not read fifty specs and results.
SHOWN = [defer(column) for column in (Run.spec, Run.inputs, Run.result, Run.error, Run.checkpoint)]


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; ``None`` means any. ``query`` is in the language of ``query.language``."""

    states: tuple[str, ...] = ()
    stage: str | None = None
    kind: str | None = None
    parent: UUID | None = None
    tag: str | None = None
    search: str | None = None
    nested: bool = False
    query: str = ""

    def conditions(self, now: datetime) -> list[ColumnElement[bool]]:
        """Return the filter as SQL conditions. Raises QueryError for an invalid query."""
        conditions: list[ColumnElement[bool]] = []
        if self.parent is not None:
            conditions.append(Run.parent_id == self.parent)
        elif not self.nested:
            conditions.append(Run.parent_id.is_(None))
        if self.states:
            conditions.append(Run.state.in_(self.states))
        if self.stage is not None:
            conditions.append(Run.stage == self.stage)
        if self.kind is not None:
            conditions.append(Run.kind == self.kind)
        if self.tag is not None:
            conditions.append(Run.tags.contains([self.tag]))
        if self.search:
            conditions.append(phrase(self.search))
        if self.query:
            conditions.append(condition(parse(self.query), now))
        return conditions


@dataclass(frozen=True)
class Phase:
    """A part of a sorted list: first the runs that have a value to sort by, then the runs without one.

    ``some``: a query that returns a row if any run can be in this phase; if not, the phase is skipped.
    """

    kind: Kind
    value: Any
    join: tuple[Any, ColumnElement[bool]] | None = None
    where: ColumnElement[bool] | None = None
    some: Select[Any] | None = None


@dataclass(frozen=True)
class Paging:
    """Which page of a list to return: its order, its length, the values to add to each row, the total.

    ``sort``: a key of the list, spec.… or metric.…, with - in front for descending.
    """

    sort: str = "-created"
    cursor: str | None = None
    limit: int = 50
    columns: Sequence[str] = ()
    count: bool = False

    @property
    def order(self) -> tuple[bool, str]:
        """Whether the order is descending, and its key."""
        return self.sort.startswith("-"), self.sort.removeprefix("-")


FIRST_PAGE = Paging()


def list_runs(db: Session, run_filter: RunFilter, paging: Paging = FIRST_PAGE) -> RunPage:
    """Return one page of runs; one of SORTS is a key of their order.

    Runs without the value come last in either direction. Raises Invalid for a query, column, sort key or cursor that is
    not valid.
    """
    descending, by = paging.order
    fields = column_fields(paging.columns)
    now, start, edge = _read_cursor(paging.cursor, paging.sort)
    phases = _phases(by, now)
    conditions = run_filter.conditions(now)
    rows: list[tuple[int, Any]] = []
    for number in range(start, len(phases)):
        phase = phases[number]
        if phase.some is not None and db.scalar(phase.some) is None:
            continue
        # Ids begin with their creation time, so they sort by it.
        keys = [Run.id] if phase.value is None else [phase.value, Run.id]
        statement = select(Run, User.email, *keys).outerjoin(User, User.id == Run.created_by)
        if phase.join is not None:
            statement = statement.join(*phase.join)
        statement = statement.where(*conditions)
        if phase.where is not None:
            statement = statement.where(phase.where)
        if edge is not None and number == start:
            statement = statement.where(_after(phase, keys, edge, descending))
        order = (key.desc() if descending else key.asc() for key in keys)
        left = paging.limit + 1 - len(rows)
        rows += [(number, row) for row in db.execute(statement.options(*SHOWN).order_by(*order).limit(left))]
        if len(rows) > paging.limit:
            break
    next_cursor = None
    if len(rows) > paging.limit:
        number, last = rows[paging.limit - 1]
        value = None if phases[number].value is None else last[2]
        next_cursor = _write_cursor(paging.sort, now, number, value, last[-1])
    shown = [row for _, row in rows[: paging.limit]]
    total = db.scalar(select(func.count()).select_from(Run).where(*conditions)) if paging.count else None
    items = summaries(db, [(row[0], row[1]) for row in shown], fields)
    return RunPage(items=items, next_cursor=next_cursor, total=total)


def summaries(
    db: Session, rows: Sequence[tuple[Run, str | None]], columns: Sequence[Field] = ()
) -> list[RunSummary]:
    """Return the rows of a list, each with its status and the requested columns."""
    statuses = status.statuses(db, [run for run, _ in rows])
    values = column_values(db, [run.id for run, _ in rows], columns)
    return [
        RunSummary.of(run, created_by=email, status=statuses[run.id], columns=values.get(run.id, {}))
        for run, email in rows
    ]


def column_fields(names: Iterable[str]) -> list[Field]:
    """Return the spec and metric fields among column names; all other columns are in every row.

    Raises Invalid for an unknown name, and for more than ``MAX_COLUMNS`` columns.
    """
    fields = []
    for name in dict.fromkeys(names):
        if name in PLAIN:
            continue
        field = find_field(name)
        if isinstance(field, str):
            raise Invalid("columns", field)
        if field.kind in ("spec", "metric"):
            fields.append(field)
    if len(fields) > MAX_COLUMNS:
        raise Invalid("columns", f"at most {MAX_COLUMNS} at once")
    return fields


def column_values(
    db: Session, run_ids: Sequence[UUID], columns: Sequence[Field]
) -> dict[UUID, dict[str, Any]]:
    """Return {run: {column: value}}, reading only the rows of these runs and keys."""
    by_run: dict[UUID, dict[str, Any]] = {run_id: {} for run_id in run_ids}
    metrics = [c for c in columns if c.kind == "metric"]
    if metrics and run_ids:
        rules = [metric_value(rule) for rule in RULES]
        statement = select(MetricLatest.run_id, MetricLatest.key, *rules).where(
            MetricLatest.run_id.in_(run_ids), MetricLatest.key.in_({c.key for c in metrics})
        )
        for run_id, key, *values in db.execute(statement):
            for column in metrics:
                value = values[RULES.index(column.rule)]
                if column.key == key and value is not None:
                    by_run[run_id][column.name] = wire_number(value)
    params = [c for c in columns if c.kind == "spec"]
    if params and run_ids:
        statement = (
            select(RunParam.run_id, RunParam.path, RunParam.text, RunParam.number)
            .where(RunParam.run_id.in_(run_ids), RunParam.path.in_({c.key for c in params}))
            .order_by(RunParam.run_id, RunParam.path, RunParam.position)
        )
        for run_id, path, text, number in db.execute(statement):
            for column in params:
                if column.key == path:
                    value = number if number is not None else text
                    row_values = by_run[run_id]
                    if column.name in row_values:
                        earlier = row_values[column.name]
                        row_values[column.name] = [
                            *(earlier if isinstance(earlier, list) else [earlier]),
                            value,
                        ]
                    else:
                        row_values[column.name] = value
    return by_run


def _phases(by: str, now: datetime) -> list[Phase]:
    """Return the phases of a sort key, in order. Raises Invalid."""
    if by == "created":
        return [Phase("text", None)]
    if by in ("name", "state"):
        return [Phase("text", getattr(Run, by))]
    if by == "stage":
        # A recipe has no stage; NULL would drop out of the comparison with the cursor.
        return [Phase("text", func.coalesce(Run.stage, ""))]
    if by == "duration":
        missing = Run.started_at.is_(None)
        return [Phase("number", duration(now), where=~missing), Phase("number", None, where=missing)]
    if by in ("started", "finished"):
        column = Run.started_at if by == "started" else Run.finished_at
        return [Phase("time", column, where=column.is_not(None)), Phase("time", None, where=column.is_(None))]
    field = find_field(by)
    if isinstance(field, str) or field.kind not in ("spec", "metric"):
        raise Invalid(
            "sort", f"one of {', '.join(SORTS)}, spec.… or metric.…, with - in front for descending"
        )
    if field.kind == "metric":
        value = metric_value(field.rule)
        mine = and_(MetricLatest.run_id == Run.id, MetricLatest.key == field.key, finite(value))
        return [
            Phase("number", value, join=(MetricLatest, mine)),
            Phase("number", None, where=~exists().where(mine)),
        ]
    mine = and_(RunParam.run_id == Run.id, RunParam.path == field.key, RunParam.position == 0)
    numbers, texts = RunParam.number.is_not(None), RunParam.number.is_(None)
    some = select(RunParam.path).where(RunParam.path == field.key).limit(1)
    return [
        Phase("number", RunParam.number, join=(RunParam, and_(mine, numbers)), some=some.where(numbers)),
        Phase("text", RunParam.text, join=(RunParam, and_(mine, texts)), some=some.where(texts)),
        Phase("text", None, where=~exists().where(mine)),
    ]


def _after(phase: Phase, keys: list[Any], edge: tuple[Any, UUID], descending: bool) -> ColumnElement[bool]:
    """Condition: the row comes after the last row of the previous page."""
    value, last = edge
    try:
        if phase.value is None:
            bounds: list[Any] = [last]
        elif phase.kind == "number":
            bounds = [float(value), last]
        elif phase.kind == "time":
            bounds = [datetime.fromisoformat(value), last]
        else:
            bounds = [str(value), last]
    except (TypeError, ValueError):
        raise bad_cursor() from None
    key, bound = tuple_(*keys), tuple_(*bounds)
    return key < bound if descending else key > bound


def _write_cursor(sort: str, now: datetime, phase: int, value: Any, last: UUID) -> str:
    # With the time of the first page, so that growing durations do not move runs from one page to another.
    value = value.isoformat() if isinstance(value, datetime) else value
    value = float(value) if value is not None and not isinstance(value, str) else value
    return write_cursor(sort, now.isoformat(), phase, value, str(last))


def _read_cursor(cursor: str | None, sort: str) -> tuple[datetime, int, tuple[Any, UUID] | None]:
    """Return (time of the first page, phase, (value, id) of the last row). Raises Invalid."""
    if cursor is None:
        return datetime.now(UTC), 0, None
    try:
        now, phase, value, last = read_cursor(cursor, sort)
        if phase in (0, 1, 2):
            return datetime.fromisoformat(now), phase, (value, UUID(last))
    except (ValueError, TypeError, AttributeError):
        pass
    raise bad_cursor()
