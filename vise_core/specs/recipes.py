"""Recipes (a whole chain of runs), sweeps (one run over a grid of values) and how runs name inputs."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from typing import Any
from uuid import UUID

from pydantic import Field, model_validator

from .base import Record


class InputRef(Record):
    """Where an input comes from: an artifact of a run, a registered data set, a sibling step, or whoever starts
    the recipe."""

    run: UUID | None = None
    step: str | None = Field(None, description="Inside a recipe: the step that makes the artifact.")
    artifact: str | None = Field(None, description="The artifact's name, such as posts or checkpoint.")
    dataset: UUID | None = None
    upload: UUID | None = Field(None, description="A file that somebody sent to be unpacked.")
    given: str | None = Field(
        None, description="Inside a recipe: the name under which whoever starts it gives the input."
    )

    @model_validator(mode="after")
    def _exactly_one_origin(self) -> InputRef:
        origins = [self.run, self.step, self.dataset, self.upload, self.given]
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError("give exactly one of run, step, dataset, upload or given")
        if (self.run is None and self.step is None) != (self.artifact is None):
            raise ValueError("run and step need the name of an artifact; the others take none")
        return self


class RecipeStep(Record):
    """One run of a recipe."""

    stage: str
    title: str = ""
    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, InputRef] = Field(default_factory=dict)


class GivenInput(Record):
    """What whoever starts a recipe has to hand in."""

    help: str
    artifact: str = Field(description="Name of the artifact of a stage that fits.")
    required: bool = Field(True, description="Off: without it, the steps that need it are left out.")


class RegisterBest(Record):
    """When all is done, make a model of the evaluation that is best on val, and the default predictor."""

    among: tuple[str, ...] = Field(min_length=1, description="Names of the evaluate steps to choose from.")
    name: str = "sample"


class RecipeSpec(Record):
    """A chain of runs. Steps run as soon as the steps they read from have succeeded."""

    title: str
    description: str = ""
    synthetic: bool = False
    given: dict[str, GivenInput] = Field(default_factory=dict)
    steps: dict[str, RecipeStep]
    register_best: RegisterBest | None = None

    @model_validator(mode="after")
    def _steps_exist_in_order(self) -> RecipeSpec:
        from .stages import STAGES, validate_spec

        seen: set[str] = set()
        for name, step in self.steps.items():
            if step.stage not in STAGES:
                raise ValueError(
                    f"steps.{name}.stage: unknown stage {step.stage!r}; one of {', '.join(STAGES)}"
                )
            validate_spec(step.stage, step.spec)
            for role, ref in step.inputs.items():
                if ref.given is not None and ref.given not in self.given:
                    raise ValueError(
                        f"steps.{name}.inputs.{role}: {ref.given!r} is not among the recipe's given"
                    )
                if ref.step is not None and ref.step not in seen:
                    raise ValueError(
                        f"steps.{name}.inputs.{role}: step {ref.step!r} does not come before {name!r}"
                    )
            seen.add(name)
        for name in self.register_best.among if self.register_best else ():
            if name not in self.steps or self.steps[name].stage != "evaluate":
                raise ValueError(f"register_best.among: {name!r} is not an evaluate step of this recipe")
        return self


class SweepSpec(Record):
    """The same stage over every combination of some values of its spec."""

    stage: str
    base: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = Field(
        min_length=1,
        description="Dotted path in the spec → values, such as {'compute.amp': ['off', 'bf16']}.",
    )
    inputs: dict[str, InputRef] = Field(default_factory=dict)

    def points(self) -> list[dict[str, Any]]:
        """Every spec of the sweep, in the order of the grid's keys; last key fastest."""
        return [
            _with_values(self.base, dict(zip(self.grid, values, strict=True)))
            for values in product(*self.grid.values())
        ]

    @model_validator(mode="after")
    def _every_point_is_valid(self) -> SweepSpec:
        from .stages import STAGES, validate_spec

        if self.stage not in STAGES:
            raise ValueError(f"unknown stage {self.stage!r}; one of {', '.join(STAGES)}")
        points = self.points()
        if len(points) > 1000:
            raise ValueError(f"the grid has {len(points)} points; at most 1000")
        for point in points:
            validate_spec(self.stage, point)
        return self


def possible_steps(recipe: RecipeSpec, given: Collection[str]) -> dict[str, RecipeStep]:
    """The steps that can run with these inputs given: without those that need another, directly or not.

    Raises ValueError for an input that the recipe does not take, or one that it cannot do without.
    """
    for name in given:
        if name not in recipe.given:
            raise ValueError(f"{name}: this recipe takes {', '.join(recipe.given) or 'no inputs'}")
    for name, wanted in recipe.given.items():
        if wanted.required and name not in given:
            raise ValueError(f"{name}: give it: {wanted.help}")
    kept: dict[str, RecipeStep] = {}
    for name, step in recipe.steps.items():
        refs = step.inputs.values()
        if all(
            (ref.given is None or ref.given in given) and (ref.step is None or ref.step in kept)
            for ref in refs
        ):
            kept[name] = step
    return kept


def _with_values(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    spec = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node = spec
        for parent in parents:
            node[parent] = dict(node.get(parent) or {})
            node = node[parent]
        node[leaf] = value
    return spec
