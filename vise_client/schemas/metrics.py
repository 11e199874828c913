"""Metric curves."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from vise_core.specs.base import Name

from .wire import RequestBody, ResponseBody

MetricRule = Literal["final", "last", "max", "min", "best"]
"""Rule that reduces a curve to one number. final: the value in the run's result, else the last one; best: the value at
the step with the best validation metric."""


NotFinite = Literal["NaN", "inf", "-inf"]
"""A number that JSON cannot express, as a string."""


class MetricQuery(RequestBody):
    """Metrics and runs whose curves are requested."""

    run_ids: list[UUID] = Field(min_length=1, max_length=100)
    keys: list[Name] | None = Field(
        None, max_length=200, description="Names of metrics; null for all except those named system/…"
    )
    prefix: str = Field("", max_length=200, description="Only metrics with this prefix, such as system/.")
    points: int = Field(500, ge=2, le=5000, description="Maximum number of points of a curve.")


class Mark(ResponseBody):
    """A point of a curve whose value is NaN or infinite."""

    step: int
    value: NotFinite
    epoch: float | None
    at: datetime


class Curve(ResponseBody):
    """A metric of one run, down-sampled so that minima and maxima stay; equal requests return equal points."""

    run_id: UUID
    key: str
    total: int = Field(description="Points before down-sampling.")
    steps: list[int]
    values: list[float | None] = Field(description="Null where the value was not a finite number.")
    epochs: list[float | None]
    times: list[datetime]
    not_finite: int = Field(0, description="Points before down-sampling whose value is NaN or infinite.")
    marks: list[Mark] = Field(
        default_factory=list,
        description="Points whose value is NaN or infinite: the first, the last, and at most about 100 between them.",
    )
