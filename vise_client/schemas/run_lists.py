"""The run list: groups of repetitions, the vocabulary of the query language, and saved views."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from .wire import Page, Request, Wire


class GroupMetric(Wire):
    """One metric over the repetitions of an experiment."""

    mean: float
    std: float | None = Field(description="Sample std (ddof 1); null for one value.")
    n: int = Field(description="Values: one a run, or one a split where a run has several.")


class RunGroup(Wire):
    """Runs that differ by seeds and splits alone, as one row."""

    group_key: str
    name: str = Field(description="Of its newest run.")
    stage: str
    newest: UUID
    created_at: datetime = Field(description="Of its newest run.")
    tags: list[str]
    synthetic: bool
    runs: int
    requested: int = Field(description="Replicates (seeds and splits) that were requested together.")
    succeeded: int = Field(description="Different repetitions that succeeded; only these are averaged.")
    states: dict[str, int]
    repeats: int = Field(description="Succeeded runs that repeat another's seed and splits: not averaged.")
    warning: str = Field(description="A sentence where repetitions are missing; else empty.")
    metrics: dict[str, GroupMetric]
    columns: dict[str, Any] = Field(description="Values of the spec, the same in all of them but for seeds.")


class GroupPage(Page[RunGroup]):
    total: int | None = None


class QueryField(Wire):
    """What the query language may ask about."""

    name: str
    kind: str
    help: str
    operators: list[str]
    choices: list[str] = Field(default_factory=list)


class Vocabulary(Wire):
    """All that a query can be completed with."""

    fields: list[QueryField]
    specs: dict[str, str] = Field(description="Dotted path → help.")
    metrics: list[str]
    tags: list[str]
    rules: dict[str, str] = Field(description="How a curve becomes one number: name → help.")


class RunListState(Request):
    """Query, columns, order and grouping of the run list, as its address holds them."""

    query: str = Field("", max_length=2000)
    columns: list[str] = Field(default_factory=list, max_length=40)
    sort: str = Field("-created", max_length=200)
    grouped: bool = False
    nested: bool = False


class SavedViewCreate(Request):
    name: str = Field(min_length=1, max_length=80)
    state: RunListState
    shared: bool = Field(False, description="For everybody; needs the role editor.")


class SavedViewUpdate(Request):
    name: str | None = Field(None, min_length=1, max_length=80)
    state: RunListState | None = None
    shared: bool | None = None


class SavedViewView(Wire):
    id: UUID
    name: str
    state: RunListState
    shared: bool
    owner: str = Field(description="E-mail.")
    mine: bool
    created_at: datetime
    updated_at: datetime
