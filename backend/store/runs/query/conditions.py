"""Convert a query's tree to an SQL expression over ``runs``; every value is a bound parameter."""

from __future__ import annotations

import math
import operator as compare
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, true
from sqlalchemy.sql import Select

from backend.store.accounts.tables import User
from backend.store.metrics.tables import MetricLatest
from backend.store.runs.states.transition import HELD
from backend.store.runs.tables import Run, RunParam

from .fields import Ago, Field
from .language import All, AnyOf, Comparison, Node, Not, Operator, Phrase

LARGEST = 1.7976931348623157e308
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": compare.eq,
    "<": compare.lt,
    "<=": compare.le,
    ">": compare.gt,
    ">=": compare.ge,
}
_OPPOSITE: dict[Operator, Operator] = {"!=": "=", "!~": "~", "not in": "in"}
_COLUMNS: dict[str, Any] = {
    "name": Run.name,
    "stage": Run.stage,
    "kind": Run.kind,
    "state": Run.state,
    "notes": Run.notes,
    "step": Run.step,
    "reason": Run.reason,
    "queue": Run.queue,
    "worker": Run.worker,
    "attempt": Run.attempt,
    "created": Run.created_at,
    "started": Run.started_at,
    "finished": Run.finished_at,
    "heartbeat": Run.heartbeat_at,
    "id": Run.id,
    "parent": Run.parent_id,
    "group": Run.group_key,
}


def condition(node: Node, now: datetime, *, positive: bool = True) -> ColumnElement[bool]:
    """Return the condition for runs that match the tree (or, if not ``positive``, do not match).

    Negations are moved down to the comparisons, where a missing value counts as false.
    """
    if isinstance(node, Not):
        return condition(node.part, now, positive=not positive)
    if isinstance(node, All | AnyOf):
        parts = [condition(part, now, positive=positive) for part in node.parts]
        join = and_ if isinstance(node, All) is positive else or_
        return join(*parts) if parts else (true() if positive else ~true())
    if isinstance(node, Phrase):
        return _sure(phrase(node.text), positive)
    if node.operator in _OPPOSITE:
        return condition(
            Comparison(node.field, _OPPOSITE[node.operator], node.values),
            now,
            positive=not positive,
        )
    return _sure(or_(*(_one(node.field, node.operator, value, now) for value in node.values)), positive)


def duration(now: datetime) -> ColumnElement[Any]:
    """Return an expression for the seconds from a run's start to its end, or until now."""
    ended = func.coalesce(Run.finished_at, now)
    return func.extract("epoch", ended - Run.started_at)


def metric_value(rule: str) -> ColumnElement[Any]:
    """Return an expression for the number to which a rule reduces a curve."""
    return {
        "final": func.coalesce(MetricLatest.final, MetricLatest.value),
        "last": MetricLatest.value,
        "min": MetricLatest.min,
        "max": MetricLatest.max,
        "best": MetricLatest.at_best,
    }[rule]  # type: ignore[return-value]


def contains(column: Any, part: str) -> ColumnElement[bool]:
    """Return the condition that the text contains ``part``, in any case. Four times as fast as ILIKE."""
    escaped = re.sub(r"([%_/])", r"/\1", part)
    return func.lower(column).like(func.lower(f"%{escaped}%"), escape="/")


def finite(value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that the value is finite. PostgreSQL orders NaN above all numbers."""
    return value.between(-LARGEST, LARGEST)


def _sure(part: ColumnElement[bool], positive: bool) -> ColumnElement[bool]:
    return part if positive else part.is_not(true())


def _one(field: Field, operator: str, value: Any, now: datetime) -> Any:
    if field.kind == "spec":
        return _spec(field, operator, value)
    if field.kind == "metric":
        number = metric_value(field.rule)
        if isinstance(value, float) and not math.isfinite(value):
            # In PostgreSQL NaN equals itself.
            return Run.id.in_(
                select(MetricLatest.run_id).where(MetricLatest.key == field.key, number == value)
            )
        rows = select(MetricLatest.run_id).where(MetricLatest.key == field.key, finite(number))
        if value is None:
            return Run.id.not_in(rows)
        return Run.id.in_(rows.where(_COMPARE[operator](number, value)))
    if field.kind == "flag":
        flag = _flag(field.name, now)
        return flag if value else flag.is_not(true())
    if field.name == "tag":
        return _tag(operator, value)
    if field.name == "user":
        rows = select(User.id).where(_text(User.email, operator, value))
        return Run.created_by.is_(None) if value is None else Run.created_by.in_(rows)
    if field.name == "reads":
        return func.cardinality(Run.depends_on) == 0 if value is None else Run.depends_on.contains([value])
    column = duration(now) if field.name == "duration" else _COLUMNS[field.name]
    if value is None:
        return column.is_(None)
    if field.kind == "text":
        return _text(column, operator, value)
    if isinstance(value, Ago):
        value = now - value.span
    return _COMPARE["=" if operator == "in" else operator](column, value)


def _text(column: Any, operator: str, value: Any) -> Any:
    if value is None:
        return column.is_(None)
    return contains(column, value) if operator == "~" else column == value


def _flag(name: str, now: datetime) -> ColumnElement[bool]:
    if name == "stalled":
        return and_(Run.kind == "stage", Run.state.in_([s.value for s in HELD]), Run.lease_until < now)
    if name == "child":
        return Run.parent_id.is_not(None)
    return {"starred": Run.starred, "archived": Run.archived, "synthetic": Run.synthetic}[name].is_(True)


def _tag(operator: str, value: Any) -> ColumnElement[bool]:
    if value is None:
        return func.cardinality(Run.tags) == 0
    if operator == "~":
        each = func.unnest(Run.tags).table_valued("tag").render_derived(name="each")
        like = contains(each.c.tag, value)
        return select(literal(1)).select_from(each).where(like).correlate(Run).exists()
    return Run.tags.contains([value])


def _spec(field: Field, operator: str, value: Any) -> ColumnElement[bool]:
    """Condition on a spec's field; in a list, any value may match."""
    rows: Select[Any] = select(RunParam.run_id).where(RunParam.path == field.key)
    if value is None:
        return Run.id.not_in(rows)
    if operator == "~":
        rows = rows.where(contains(RunParam.text, value))
    elif isinstance(value, float):
        rows = rows.where(_COMPARE["=" if operator == "in" else operator](RunParam.number, value))
    else:
        rows = rows.where(RunParam.text == value)
    return Run.id.in_(rows)


def phrase(text: str) -> ColumnElement[bool]:
    """Return the condition that the run's name contains the text, in any case, or one of its tags equals it."""
    return or_(contains(Run.name, text), Run.tags.contains([text]))
