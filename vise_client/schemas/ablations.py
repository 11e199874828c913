"""Ablations: a baseline evaluation and points that differ from it in one factor."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.recipes.ablation_kinds import Kind as AblationName

from .run_states import RunState
from .wire import Request, Wire


class AblationCreate(Request):
    """A baseline evaluation and what is changed about it, one factor at a time."""

    name: str = Field(min_length=1, max_length=120)
    kind: AblationName
    baseline: UUID = Field(description="A succeeded evaluate run.")
    changes: list[dict[str, Any]] | None = Field(
        None,
        min_length=1,
        max_length=30,
        description="Dotted path → value, of each point; null: the kind's own.",
    )


class AblationUpdate(Request):
    """What to change; what is null stays as it was."""

    name: str | None = Field(None, min_length=1, max_length=120)
    changes: list[dict[str, Any]] | None = Field(None, min_length=1, max_length=30)


class AblationPoint(Wire):
    """One value of the factor, and the evaluation that shows what it does."""

    number: int
    label: str
    position: float | None = Field(description="Place on a logarithmic axis; null on one of names.")
    changes: dict[str, Any]
    baseline: bool = Field(description="Whether it is the baseline itself.")
    state: RunState | Literal["missing"]
    run: UUID | None = Field(description="The evaluate run.")
    parent: UUID | None = Field(description="The recipe that it belongs to.")
    mean: float | None = None
    std: float | None = Field(None, description="Sample std (ddof 1) over splits.")
    n: int = 0
    note: str = Field(
        "", description="Why a run that looks like this point is not shown: other data or splits."
    )


class AblationSummary(Wire):
    id: UUID
    name: str
    kind: AblationName
    baseline: UUID
    created_by: str | None
    created_at: datetime


class AblationView(AblationSummary):
    """An ablation with what was found for each point."""

    title: str
    axis: str
    log: bool
    method: str
    backbone: str
    task: str
    protocol: str
    metric: str
    on: Literal["test", "val"]
    synthetic: bool
    measured: str = Field("", description="Stands for the data and splits of the baseline and every point.")
    recorded: bool = Field(False, description="Whether the baseline's data and splits are known.")
    points: list[AblationPoint]
