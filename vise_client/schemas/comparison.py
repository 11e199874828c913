"""Runs side by side: parameters, metrics and their correlation."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from .metrics import NotFinite
from .run_states import RunState
from .wire import RequestBody, ResponseBody


class CompareQuery(RequestBody):
    """Runs to compare."""

    run_ids: list[UUID] = Field(min_length=1, max_length=100)
    metric: str | None = Field(
        None,
        max_length=200,
        description="Compute the importance of each differing parameter for this metric.",
    )


class ComparedRun(ResponseBody):
    """A column of a comparison."""

    id: UUID
    name: str
    stage: str | None
    state: RunState
    tags: list[str]
    synthetic: bool
    created_at: datetime
    data: str = Field(
        "", description="Digest of an evaluation's images, labels and texts; empty for other stages."
    )


class Parameter(ResponseBody):
    """A field of the runs' specs, or ``inputs.<role>``: one value for each run, null where a run has no such field."""

    path: str
    differs: bool
    values: list[Any]


class ParameterImportance(ResponseBody):
    """Association between a parameter and the metric over the compared runs; not evidence of cause and effect."""

    path: str
    rank_correlation: float | None = Field(description="Spearman's ρ, for numeric parameters.")
    variance_share: float | None = Field(
        description="ε², the share of variance between groups of equal value (numbers of many values: quarters)."
    )
    runs: int = Field(description="Number of runs with the metric.")


class Comparison(ResponseBody):
    """Up to 100 runs side by side; every list of values is in the order of ``runs``."""

    runs: list[ComparedRun]
    missing: list[UUID] = Field(description="Requested ids without a run.")
    parameters: list[Parameter]
    metrics: dict[str, list[float | None]] = Field(
        description="Metric → value of the result, else the last one of the curve; null where it is not finite."
    )
    not_finite: dict[str, dict[int, NotFinite]] = Field(
        default_factory=dict,
        description="Metric → index of the run → its last value, where that is NaN or infinite.",
    )
    curves: list[str] = Field(description="Metrics with a curve in at least one of the runs.")
    importance: list[ParameterImportance] = Field(
        description="Importance for the requested metric, strongest first. Evaluations count only where they share data "
        "and splits: the largest such set, or the newest of equally large ones."
    )
    not_compared: list[str] = Field(
        default_factory=list, description="Reasons why some evaluations are not comparable with the others."
    )
    importance_over: list[UUID] = Field(
        default_factory=list,
        description="The runs that the importance is computed over; all where they are comparable.",
    )
