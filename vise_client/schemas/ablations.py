"""Ablations: a baseline evaluation and points that differ from it in one factor."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.recipes.ablation_kinds import Kind as AblationName

from .run_states import RunState
from .wire import RequestBody, ResponseBody, UpdateBody


class AblationCreate(RequestBody):
    """A baseline evaluation, and the factor to vary."""

    name: str = Field(min_length=1, max_length=120)
    kind: AblationName
    baseline: UUID = Field(description="Id of a succeeded evaluate run.")
    changes: list[dict[str, Any]] | None = Field(
        None,
        min_length=1,
        max_length=30,
        description="For each point: dotted path → value; null for the points of the kind.",
    )


class AblationUpdate(UpdateBody):
    """Changes of an ablation; null leaves a field as it is."""

    name: str | None = Field(None, min_length=1, max_length=120)
    changes: list[dict[str, Any]] | None = Field(None, min_length=1, max_length=30)


class AblationPoint(ResponseBody):
    """One value of the factor, and the evaluate run that shows its effect."""

    number: int
    label: str
    position: float | None = Field(
        description="Position on a logarithmic axis; null where the axis has names."
    )
    changes: dict[str, Any]
    baseline: bool = Field(description="Whether the point is the baseline itself.")
    state: RunState | Literal["missing"]
    run: UUID | None = Field(description="The evaluate run.")
    parent: UUID | None = Field(description="The recipe run that the run belongs to.")
    mean: float | None = None
    std: float | None = Field(None, description="Sample std (ddof 1) over splits.")
    n: int = 0
    note: str = Field("", description="Why a run with these values is not used: it has other data or splits.")


class AblationSummary(ResponseBody):
    """A row of the list of ablations."""

    id: UUID
    name: str
    kind: AblationName
    baseline: UUID
    created_by: str | None
    created_at: datetime


class AblationView(AblationSummary):
    """An ablation with the result of every point."""

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
    measured: str = Field(
        "", description="Digest of the data and splits that the baseline and every point share."
    )
    points: list[AblationPoint]
