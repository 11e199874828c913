"""Runs side by side: parameters, metrics and their correlation."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from .metrics import NotFinite
from .run_states import RunState
from .wire import Request, Wire


class CompareQuery(Request):
    """Runs to lay side by side."""

    run_ids: list[UUID] = Field(min_length=1, max_length=100)
    metric: str | None = Field(
        None,
        max_length=200,
        description="Say how strongly each parameter that differs goes with this metric.",
    )


class ComparedRun(Wire):
    id: UUID
    name: str
    stage: str | None
    state: RunState
    tags: list[str]
    synthetic: bool
    created_at: datetime
    data: str = Field(
        "", description="Of an evaluation: stands for its images, labels and texts; empty where not recorded."
    )


class Parameter(Wire):
    """A field of the runs' specs, or ``inputs.<role>``; one value a run, null where the run has no such field."""

    path: str
    differs: bool
    values: list[Any]


class ParameterImportance(Wire):
    """How a parameter goes with the metric over these runs; what goes together need not be cause and effect."""

    path: str
    rank_correlation: float | None = Field(description="Spearman's ρ, of numbers.")
    variance_share: float | None = Field(
        description="ε², the share of variance between groups of equal value (numbers of many values: quarters)."
    )
    runs: int = Field(description="Runs that have the metric.")


class Comparison(Wire):
    """Up to 100 runs as columns; every list of values has the order of ``runs``."""

    runs: list[ComparedRun]
    missing: list[UUID] = Field(description="Asked for, but there are no such runs.")
    parameters: list[Parameter]
    metrics: dict[str, list[float | None]] = Field(
        description="What the result says, else the last value of the curve; null where that is not finite."
    )
    not_finite: dict[str, dict[int, NotFinite]] = Field(
        default_factory=dict,
        description="By metric, and by the place of the run: last values that are NaN or infinite.",
    )
    curves: list[str] = Field(description="Metrics of which at least one of the runs has a curve.")
    importance: list[ParameterImportance] = Field(
        description="Of the metric asked for, the strongest first. Over evaluations of one data and splits only: those "
        "of which most are compared, of equally many the newest."
    )
    not_compared: list[str] = Field(
        default_factory=list, description="Why numbers of some evaluations may not be compared with others'."
    )
    importance_over: list[UUID] = Field(
        default_factory=list,
        description="The runs that importance is over; all of them where they are comparable.",
    )
