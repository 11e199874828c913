"""What the query language can ask about: the fields of a run, of its spec, and its metrics."""

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
"""Short names that people type."""

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
    """``key`` is the path in the spec or the metric's name; ``rule`` how a metric's curve becomes one number."""

    name: str
    kind: Kind
    help: str
    choices: tuple[str, ...] = ()
    key: str = ""
    rule: str = "final"

    @property
    def operators(self) -> tuple[str, ...]:
        return _OPERATORS[self.kind]

    @property
    def expects(self) -> str:
        return f"one of {', '.join(self.choices)}" if self.choices else _EXPECTS[self.kind]


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("name", "text", "Its name."),
        Field("stage", "choice", "What it does; none for a recipe or a sweep.", tuple(STAGES)),
        Field("kind", "choice", "A single stage, or a parent.", get_args(RunKind)),
        Field("state", "choice", "How far it is.", tuple(s.value for s in RunState)),
        Field("tag", "text", "One of its tags."),
        Field("notes", "text", "Its notes."),
        Field("user", "text", "E-mail of who started it."),
        Field("step", "text", "Its name within its recipe or sweep."),
        Field("reason", "text", "Why it failed, waits or was cancelled."),
        Field("queue", "text", "The queue that it is for."),
        Field("worker", "text", "The worker that has it, or had it last."),
        Field("attempt", "number", "How often it was taken up."),
        Field("created", "time", "When it was made."),
        Field("started", "time", "When it was first taken up."),
        Field("finished", "time", "When it ended."),
        Field("heartbeat", "time", "When its worker was last heard of."),
        Field("duration", "duration", "From start to end, or until now."),
        Field("starred", "flag", "Has a star."),
        Field("archived", "flag", "Was put away."),
        Field("synthetic", "flag", "Made from generated data."),
        Field("stalled", "flag", "Its worker has been silent for longer than its lease."),
        Field("child", "flag", "Is inside a recipe or a sweep."),
        Field("id", "id", "Its id."),
        Field("parent", "id", "The recipe or sweep that it is inside of."),
        Field("reads", "id", "A run that it reads from."),
        Field("group", "text", "Runs with the same spec and inputs but for seeds and splits."),
    )
}


@dataclass(frozen=True)
class Ago:
    """A time, counted back from now."""

    span: timedelta


def paths() -> dict[str, str]:
    """Dotted path → help, of every stage that is registered."""
    return _paths(tuple(STAGES))


@lru_cache(maxsize=4)
def _paths(_: tuple[str, ...]) -> dict[str, str]:
    return spec_paths()


def find_field(name: str) -> Field | str:
    """The field of that name; else a sentence that says what is wrong."""
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
        return f"no stage has a spec with {path!r}" + _meant(path, list(paths()))
    return f"there is no field {name!r}" + _meant(name, [*FIELDS, *paths()])


def _meant(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, 1)
    return (
        f"; did you mean {close[0]}?" if close else "; fields of a spec are written spec.…, metrics metric.…"
    )


def read_value(field: Field, text: str, operator: str, *, quoted: bool) -> object:
    """The value that a text means for a field; None for ``none``. Raises ValueError with what was expected."""
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
            raise ValueError("= asks a time only for none; use <, <=, > or >=")
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
        found = datetime.fromisoformat(text)
    except ValueError:
        raise wrong from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _duration(text: str, wrong: ValueError) -> float:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhdw]?)", text)
    if not found:
        raise wrong
    return float(found[1]) * _SECONDS[found[2] or "s"]
