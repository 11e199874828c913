"""Metric curves."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from .wire import Request, Wire

MetricRule = Literal["final", "last", "max", "min", "best"]
"""How a curve becomes one number. final: the run's result, or the last value where there is none; best: the value
at the step where validation was best."""


NotFinite = Literal["NaN", "inf", "-inf"]
"""How a number that JSON does not have is written."""


class MetricQuery(Request):
    """Curves of several runs at once."""

    run_ids: list[UUID] = Field(min_length=1, max_length=100)
    keys: list[str] | None = Field(
        None, max_length=200, description="Null: every metric but the machine's, which are named system/…"
    )
    prefix: str = Field("", max_length=200, description="Only metrics whose names begin so, such as system/.")
    points: int = Field(500, ge=2, le=5000, description="At most this many points a curve.")


class Mark(Wire):
    """A point of a curve whose value is not finite."""

    step: int
    value: NotFinite
    epoch: float | None
    at: datetime


class Curve(Wire):
    """One metric of one run, down-sampled so that minima and maxima stay; the same call, the same points."""

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
