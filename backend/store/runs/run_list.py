"""Pages of runs: filtered, in any order, with chosen columns, at a cost that does not grow with the page's number."""

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
"""Columns that pages make of what is in a row anyway, and that no query can ask about."""
Kind = Literal["text", "number", "time"]

# A page of runs must not read fifty specs and results.
SHOWN = [defer(column) for column in (Run.spec, Run.inputs, Run.result, Run.error, Run.checkpoint)]


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; ``None`` means any. ``query`` is in the language of ``store.query``."""

    states: tuple[str, ...] = ()
    stage: str | None = None
    kind: str | None = None
    parent: UUID | None = None
    tag: str | None = None
    search: str | None = None
    nested: bool = False
    query: str = ""

    def conditions(self, now: datetime) -> list[ColumnElement[bool]]:
        """Raises QueryError for a query that is none."""
        found: list[ColumnElement[bool]] = []
        if self.parent is not None:
            found.append(Run.parent_id == self.parent)
        elif not self.nested:
            found.append(Run.parent_id.is_(None))
        if self.states:
            found.append(Run.state.in_(self.states))
        if self.stage is not None:
            found.append(Run.stage == self.stage)
        if self.kind is not None:
            found.append(Run.kind == self.kind)
        if self.tag is not None:
            found.append(Run.tags.contains([self.tag]))
        if self.search:
            found.append(phrase(self.search))
        if self.query:
            found.append(condition(parse(self.query), now))
        return found


@dataclass(frozen=True)
class Phase:
    """One stretch of a sorted list: the runs that have the value, and after them those that have none.

    ``some``: finds a row where any run at all may be in it, so that nobody is looked for in vain.
    """

    kind: Kind
    value: Any
    join: tuple[Any, ColumnElement[bool]] | None = None
    where: ColumnElement[bool] | None = None
    some: Select[Any] | None = None


def list_runs(
    db: Session,
    wanted: RunFilter,
    *,
    sort: str = "-created",
    cursor: str | None = None,
    limit: int = 50,
    columns: Sequence[str] = (),
    count: bool = False,
) -> RunPage:
    """One page in the order of ``sort``: one of SORTS, spec.…, metric.…, with - in front for descending.

    Runs without the value that sorts come last in either direction. Raises Invalid.
    """
    descending, by = sort.startswith("-"), sort.removeprefix("-")
    chosen = column_fields(columns)
    now, start, edge = _read_cursor(cursor, sort)
    phases = _phases(by, now)
    conditions = wanted.conditions(now)
    rows: list[tuple[int, Any]] = []
    for number in range(start, len(phases)):
        phase = phases[number]
        if phase.some is not None and db.scalar(phase.some) is None:
            continue
        # The id is as good as the time: it is made of it.
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
        left = limit + 1 - len(rows)
        rows += [(number, row) for row in db.execute(statement.options(*SHOWN).order_by(*order).limit(left))]
        if len(rows) > limit:
            break
    following = None
    if len(rows) > limit:
        number, last = rows[limit - 1]
        value = None if phases[number].value is None else last[2]
        following = _write_cursor(sort, now, number, value, last[-1])
    shown = [row for _, row in rows[:limit]]
    total = db.scalar(select(func.count()).select_from(Run).where(*conditions)) if count else None
    items = summaries(db, [(row[0], row[1]) for row in shown], chosen)
    return RunPage(items=items, next_cursor=following, total=total)


def summaries(
    db: Session, rows: Sequence[tuple[Run, str | None]], columns: Sequence[Field] = ()
) -> list[RunSummary]:
    """Rows of a list, each with its status and the columns that were asked for."""
    statuses = status.statuses(db, [run for run, _ in rows])
    values = column_values(db, [run.id for run, _ in rows], columns)
    return [_summary(run, email, statuses[run.id], values.get(run.id, {})) for run, email in rows]


def column_fields(names: Iterable[str]) -> list[Field]:
    """The spec's fields and metrics among chosen columns; whatever else a run has is in its row anyway."""
    found = []
    for name in dict.fromkeys(names):
        if name in PLAIN:
            continue
        field = find_field(name)
        if isinstance(field, str):
            raise Invalid("columns", field)
        if field.kind in ("spec", "metric"):
            found.append(field)
    if len(found) > MAX_COLUMNS:
        raise Invalid("columns", f"at most {MAX_COLUMNS} at once")
    return found


def column_values(
    db: Session, run_ids: Sequence[UUID], columns: Sequence[Field]
) -> dict[UUID, dict[str, Any]]:
    """{run: {column: value}}; reads only these runs' rows and these keys."""
    found: dict[UUID, dict[str, Any]] = {run_id: {} for run_id in run_ids}
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
                    found[run_id][column.name] = wire_number(value)
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
                    held = found[run_id]
                    if column.name in held:
                        before = held[column.name]
                        held[column.name] = [*(before if isinstance(before, list) else [before]), value]
                    else:
                        held[column.name] = value
    return found


def _summary(run: Run, email: str | None, state: Any, columns: dict[str, Any]) -> RunSummary:
    apart = ("created_by", "status", "columns")
    fields = {name: getattr(run, name) for name in RunSummary.model_fields if name not in apart}
    return RunSummary(**fields, created_by=email, status=state, columns=columns)


def _phases(by: str, now: datetime) -> list[Phase]:
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
    here, there = tuple_(*keys), tuple_(*bounds)
    return here < there if descending else here > there


def _write_cursor(sort: str, now: datetime, phase: int, value: Any, last: UUID) -> str:
    # The time is kept, so that durations that grow between two pages do not move runs from one page to another.
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
