"""Fields that queries can name: a run's columns, spec fields and metrics."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal, get_args
from uuid import UUID

from backend.store.runs.identity import spec_paths
from vise_client.schemas.metrics import MetricRule
from vise_client.schemas.run_states import RunKind, RunState
from vise_core.specs.stages import STAGES

Kind = Literal["text", "choice", "number", "time", "duration", "flag", "id", "spec", "metric"]

RULES: tuple[str, ...] = get_args(MetricRule)
ALIASES = {"lr": "base_lr", "tags": "tag", "note": "notes"}
"""Short names → fields."""

_EQUAL = ("=", "!=")
_AMONG = ("in", "not in")
_ORDER = ("<", "<=", ">", ">=")
_LIKE = ("~", "!~")
_OPERATORS: dict[Kind, tuple[str, ...]] = {
    "text": (*_EQUAL, *_LIKE, *_AMONG),
    "choice": (*_EQUAL, *_AMONG),
    "number": (*_EQUAL, *_ORDER, *_AMONG),
    "time": (*_EQUAL, *_ORDER),
    "duration": (*_EQUAL, *_ORDER),
    "flag": _EQUAL,
    "id": (*_EQUAL, *_AMONG),
    "spec": (*_EQUAL, *_ORDER, *_LIKE, *_AMONG),
    "metric": (*_EQUAL, *_ORDER, *_AMONG),
}
_EXPECTS: dict[Kind, str] = {
    "text": "a word or a quoted text",
    "choice": "a word",
    "number": "a number",
    "time": "a time such as -7d, -12h or 2026-01-31",
    "duration": "a span of time such as 90s, 10m or 2h",
    "flag": "true or false",
    "id": "an id",
    "spec": "a number, a word or a quoted text",
    "metric": "a number",
}
_NOT_FINITE = ("nan", "inf", "-inf")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True)
class Field:
    """A field that a query can name: its kind, and the values it may have."""

    name: str
    kind: Kind
    help: str
    choices: tuple[str, ...] = ()
    key: str = ""
    rule: str = "final"

    @property
    def operators(self) -> tuple[str, ...]:
        """Operators that the field accepts."""
        return _OPERATORS[self.kind]

    @property
    def expects(self) -> str:
        """Description of the values that the field accepts."""
        return f"one of {', '.join(self.choices)}" if self.choices else _EXPECTS[self.kind]


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("name", "text", "Name of the run."),
        Field("stage", "choice", "Stage of the run; none for a recipe or sweep.", tuple(STAGES)),
        Field("kind", "choice", "stage, or a parent: recipe or sweep.", get_args(RunKind)),
        Field("state", "choice", "State of the run.", tuple(s.value for s in RunState)),
        Field("tag", "text", "A tag of the run."),
        Field("notes", "text", "Notes of the run."),
        Field("user", "text", "E-mail of the user who launched it."),
        Field("step", "text", "Name of the step in its recipe or sweep."),
        Field("reason", "text", "Why the run failed, waits or was cancelled."),
        Field("queue", "text", "Queue of the run."),
        Field("worker", "text", "Worker that has claimed it, now or last."),
        Field("attempt", "number", "Number of times it was claimed."),
        Field("created", "time", "Time of creation."),
        Field("started", "time", "Time of the first claim."),
        Field("finished", "time", "Time of its end."),
        Field("heartbeat", "time", "Last heartbeat of its worker."),
        Field("duration", "duration", "From start to end, or until now."),
        Field("starred", "flag", "The run is starred."),
        Field("archived", "flag", "The run is archived."),
        Field("synthetic", "flag", "Made from generated data."),
        Field("stalled", "flag", "Its lease has expired without a heartbeat."),
        Field("child", "flag", "It belongs to a recipe or sweep."),
        Field("id", "id", "Id of the run."),
        Field("parent", "id", "Recipe or sweep that it belongs to."),
        Field("reads", "id", "Run that it reads from."),
        Field("group", "text", "Runs with equal spec and inputs except for seeds and splits."),
    )
}


@dataclass(frozen=True)
class Ago:
    """A time before now."""

    span: timedelta


def paths() -> dict[str, str]:
    """Return {dotted path: help} of the spec fields of all registered stages."""
    return _paths(tuple(STAGES))


@lru_cache(maxsize=4)
def _paths(_: tuple[str, ...]) -> dict[str, str]:
    return spec_paths()


def find_field(name: str) -> Field | str:
    """Return the field of this name, or an error message with the closest name."""
    name = ALIASES.get(name, name)
    if name in FIELDS:
        return FIELDS[name]
    if name.startswith("metric."):
        key, colon, rule = name.removeprefix("metric.").rpartition(":")
        if not colon or rule not in RULES:
            key, rule = name.removeprefix("metric."), "final"
        if not key:
            return "expected the name of a metric after metric."
        return Field(name, "metric", "", key=key, rule=rule)
    path = name.removeprefix("spec.")
    if path in paths():
        return Field(name, "spec", paths()[path], key=path)
    if name.startswith("spec."):
        return f"no stage has a spec with {path!r}" + _suggestion(path, list(paths()))
    return f"there is no field {name!r}" + _suggestion(name, [*FIELDS, *paths()])


def _suggestion(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, 1)
    return (
        f"; did you mean {close[0]}?" if close else "; fields of a spec are written spec.…, metrics metric.…"
    )


def read_value(field: Field, text: str, operator: str, *, quoted: bool) -> object:
    """Parse a value of a field; None for ``none``.

    Raises ValueError, which says what was expected, for a text that is no such value.
    """
    if text == "none" and not quoted:
        if operator in _ORDER or operator in _LIKE or field.kind == "flag":
            raise ValueError(f"expected {field.expects}, not none")
        return None
    wrong = ValueError(f"expected {field.expects}, not {text!r}")
    if field.kind == "text" or (field.kind == "spec" and operator in _LIKE):
        return text
    if field.kind == "choice":
        if text not in field.choices:
            raise wrong
        return text
    if field.kind == "flag":
        if text not in ("true", "false"):
            raise wrong
        return text == "true"
    if field.kind == "time":
        if operator in _EQUAL:
            raise ValueError("a time can be compared by = only with none; use <, <=, > or >=")
        return _time(text, wrong)
    if field.kind == "duration":
        return _duration(text, wrong)
    if field.kind == "id":
        try:
            return UUID(text)
        except ValueError:
            raise wrong from None
    if field.kind == "metric" and operator not in _ORDER and not quoted and text.lower() in _NOT_FINITE:
        return float(text)
    number = None if quoted else as_number(text)
    if field.kind == "spec" and operator not in _ORDER:
        return text if number is None else number
    if number is None:
        raise ValueError(f"expected a number, not {text!r}")
    return number


def as_number(text: str) -> float | None:
    """Return the text as a finite number, or None."""
    try:
        number = float(text.replace("_", "x"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _time(text: str, wrong: ValueError) -> datetime | Ago:
    ago = re.fullmatch(r"-(\d{1,5})([mhdw])", text)
    if ago:
        return Ago(timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]]))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise wrong from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _duration(text: str, wrong: ValueError) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhdw]?)", text)
    if not match:
        raise wrong
    return float(match[1]) * _SECONDS[match[2] or "s"]
