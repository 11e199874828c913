"""The run list: groups of repetitions, the vocabulary of the query language, and saved views."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from .wire import Page, RequestBody, ResponseBody, UpdateBody

Column = Annotated[str, Field(max_length=300)]
"""A column of the run list: spec.…, metric.… or metric.…:max."""


class GroupMetric(ResponseBody):
    """A metric over the replicates of an experiment."""

    mean: float
    std: float | None = Field(description="Sample std (ddof 1); null for one value.")
    n: int = Field(
        description="Number of values: one for each run, or for each split of a run that has several."
    )


class RunGroup(ResponseBody):
    """Runs that differ by seeds and splits only, as one row of the run list."""

    group_key: str
    name: str = Field(description="Name of the newest run.")
    stage: str
    newest: UUID
    created_at: datetime = Field(description="Creation of the newest run.")
    tags: list[str]
    synthetic: bool
    runs: int
    requested: int = Field(description="Replicates (seeds and splits) that were requested together.")
    succeeded: int = Field(description="Distinct replicates that succeeded; only these are averaged.")
    states: dict[str, int]
    repeats: int = Field(description="Succeeded runs with the seed and splits of another one; not averaged.")
    warning: str = Field(description="A sentence where replicates are missing; else empty.")
    metrics: dict[str, GroupMetric]
    columns: dict[str, Any] = Field(
        description="Values of the requested columns, equal in all runs of the group except seeds."
    )


class GroupPage(Page[RunGroup]):
    """One page of groups of runs."""

    total: int | None = None


class QueryField(ResponseBody):
    """A field that a query can name."""

    name: str
    kind: str
    help: str
    operators: list[str]
    choices: list[str] = Field(default_factory=list)


class Vocabulary(ResponseBody):
    """Names that complete a query: fields, spec paths, metrics and tags."""

    fields: list[QueryField]
    specs: dict[str, str] = Field(description="Dotted path → help.")
    metrics: list[str]
    tags: list[str]
    rules: dict[str, str] = Field(description="Rule that reduces a curve to one number → help.")


class RunListState(RequestBody):
    """Query, columns, order and grouping of the run list, as the page's address carries them."""

    query: str = Field("", max_length=2000)
    columns: list[Column] = Field(default_factory=list, max_length=40)
    sort: str = Field("-created", max_length=200)
    grouped: bool = False
    nested: bool = False


class SavedViewCreate(RequestBody):
    """A new saved view of the run list."""

    name: str = Field(min_length=1, max_length=80)
    state: RunListState
    shared: bool = Field(False, description="Whether all users see the view; needs the role editor.")


class SavedViewUpdate(UpdateBody):
    """Changes of a saved view; null leaves a field as it is."""

    name: str | None = Field(None, min_length=1, max_length=80)
    state: RunListState | None = None
    shared: bool | None = None


class SavedViewView(ResponseBody):
    """A saved view of the run list."""

    id: UUID
    name: str
    state: RunListState
    shared: bool
    owner: str = Field(description="E-mail address of the owner.")
    mine: bool
    created_at: datetime
    updated_at: datetime
