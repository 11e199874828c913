"""Sweeps: one stage over a grid of values."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, NamedTuple

from pydantic import Field, PrivateAttr, model_validator

from ..base import Name, Record, Spec
from ..paths import with_values
from ..stages import STAGES, validate_spec
from .inputs import InputRef


class SweepCase(Record):
    """A position on an axis of a sweep at which several fields change together: a method, a task."""

    set: dict[str, Any] = Field(
        default_factory=dict,
        description="Dotted path in the spec → value, such as {'task.kind': 'politics'}.",
    )
    inputs: dict[Name, InputRef] = Field(
        default_factory=dict, description="Inputs of its own: a task's data set, a method's checkpoint."
    )


class SweepPoint(NamedTuple):
    """One run of a sweep. ``cases`` are the names of its cases, in the order of the axes."""

    cases: tuple[str, ...]
    spec: dict[str, Any]
    inputs: dict[str, InputRef]


class SweepSpec(Record):
    """A stage, run with every combination of values of its spec and of cases."""

    stage: Name
    base: dict[str, Any] = Field(default_factory=dict)
    cases: dict[Name, dict[Name, SweepCase]] = Field(
        default_factory=dict,
        description="Axis → name → what is set there, for values that need inputs of their own, such as "
        "{'task': {'Politics': {'set': …, 'inputs': …}}}.",
    )
    grid: dict[Name, tuple[Any, ...]] = Field(
        default_factory=dict,
        description="Dotted path in the spec → values, such as {'compute.amp': ['off', 'bf16']}.",
    )
    inputs: dict[Name, InputRef] = Field(default_factory=dict, description="Inputs of every point.")

    _specs: tuple[Spec, ...] = PrivateAttr(())

    @property
    def specs(self) -> tuple[Spec, ...]:
        """The spec of each of the points, as it was validated with the sweep."""
        return self._specs

    def points(self) -> list[SweepPoint]:
        """Return every run of the sweep: axes of cases first, then the grid, in their order; the last varies fastest."""
        points = []
        for names in product(*self.cases.values()):
            spec, inputs = self.base, dict(self.inputs)
            for axis, name in zip(self.cases.values(), names, strict=True):
                spec = with_values(spec, axis[name].set)
                inputs |= axis[name].inputs
            for values in product(*self.grid.values()):
                point = with_values(spec, dict(zip(self.grid, values, strict=True)))
                points.append(SweepPoint(names, point, inputs))
        return points

    @model_validator(mode="after")
    def _every_point_is_valid(self) -> SweepSpec:
        if self.stage not in STAGES:
            raise ValueError(f"unknown stage {self.stage!r}; one of {', '.join(STAGES)}")
        if not self.grid and not self.cases:
            raise ValueError("nothing to sweep over: give grid, cases or both")
        # An axis of cases and one of the grid may have the same name.
        number = prod(len(axis) for axis in (*self.cases.values(), *self.grid.values()))
        if not 1 <= number <= 1000:
            raise ValueError(f"the sweep has {number} points; at least 1, at most 1000")
        self._specs = tuple(validate_spec(self.stage, point.spec) for point in self.points())
        return self
