"""Recipes (a whole chain of runs), sweeps (one run over a grid of values) and how runs name inputs."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from math import prod
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import Field, model_validator

from .base import Record


class InputRef(Record):
    """Where an input comes from: an artifact of a run, a registered data set, a sibling step, or whoever starts
    the recipe."""

    run: UUID | None = None
    step: str | None = Field(None, description="Inside a recipe: the step that makes the artifact.")
    artifact: str | None = Field(
        None,
        description="The artifact's name, such as posts or checkpoint; of a run it may be left out where one fits.",
    )
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
        if self.step is not None and self.artifact is None:
            raise ValueError("step needs the name of an artifact")
        if self.run is None and self.step is None and self.artifact is not None:
            raise ValueError("only a run or a step has artifacts: leave out artifact")
        return self


class RecipeStep(Record):
    """One run of a recipe."""

    stage: str
    title: str = ""
    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, InputRef] = Field(default_factory=dict)


class GivenInput(Record):
    """What whoever starts a recipe has to hand in."""

    help: str = ""
    artifact: str | None = Field(
        None,
        description="Name of the artifact of a stage that fits; null: whatever the steps that read it take. A data set "
        "fits either way.",
    )
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


class SweepCase(Record):
    """One place on an axis of a sweep where several things change together: a method, a task."""

    set: dict[str, Any] = Field(
        default_factory=dict,
        description="Dotted path in the spec → value, such as {'task.kind': 'politics'}.",
    )
    inputs: dict[str, InputRef] = Field(
        default_factory=dict, description="Inputs of its own: a task's data set, a method's checkpoint."
    )


class SweepPoint(NamedTuple):
    """One run of a sweep. ``cases`` are the names of its cases, in the order of the axes."""

    cases: tuple[str, ...]
    spec: dict[str, Any]
    inputs: dict[str, InputRef]


class SweepSpec(Record):
    """The same stage over every combination of some values of its spec, and of some cases."""

    stage: str
    base: dict[str, Any] = Field(default_factory=dict)
    cases: dict[str, dict[str, SweepCase]] = Field(
        default_factory=dict,
        description="Axis → name → what is set there, for values that need inputs of their own, such as "
        "{'task': {'Politics': {'set': …, 'inputs': …}}}.",
    )
    grid: dict[str, tuple[Any, ...]] = Field(
        default_factory=dict,
        description="Dotted path in the spec → values, such as {'compute.amp': ['off', 'bf16']}.",
    )
    inputs: dict[str, InputRef] = Field(default_factory=dict, description="Inputs of every point.")

    def points(self) -> list[SweepPoint]:
        """Every run of the sweep: axes of cases first, then the grid, in their order; the last is the fastest."""
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
        from .stages import STAGES, validate_spec

        if self.stage not in STAGES:
            raise ValueError(f"unknown stage {self.stage!r}; one of {', '.join(STAGES)}")
        if not self.grid and not self.cases:
            raise ValueError("nothing to sweep over: give grid, cases or both")
        axes = {**self.cases, **self.grid}
        number = prod(len(axis) for axis in axes.values())
        if not 1 <= number <= 1000:
            raise ValueError(f"the sweep has {number} points; at least 1, at most 1000")
        for point in self.points():
            validate_spec(self.stage, point.spec)
        return self


def given_artifacts(recipe: RecipeSpec, name: str) -> tuple[str, ...]:
    """Names of the artifacts that fit an input given at the start of a recipe, its own artifact first.

    What every step that reads it takes, by the roles in which they read it.
    """
    from .stages import STAGES

    roles = [
        STAGES[step.stage].inputs[role]
        for step in recipe.steps.values()
        for role, ref in step.inputs.items()
        if ref.given == name and role in STAGES[step.stage].inputs
    ]
    own = recipe.given[name].artifact
    taken = [artifact for role in roles for artifact in (role.artifact, *role.also)]
    fitting = [artifact for artifact in taken if all(role.takes(artifact) for role in roles)]
    return tuple(dict.fromkeys([*([own] if own else []), *fitting]))


def the_artifact(made: Collection[str], fitting: Collection[str], preferred: str = "") -> str:
    """The one of a run's artifacts that fits an input: ``preferred`` where it does, else the only one.

    Raises ValueError that names those that fit, or all that there are.
    """
    able = [name for name in made if name in fitting]
    if preferred in able:
        return preferred
    if len(able) != 1:
        told = f"several of its artifacts fit: {', '.join(able)}" if able else f"it makes {', '.join(made)}"
        raise ValueError(f"{told}; this input takes {' or '.join(fitting)}: write RUN:artifact")
    return able[0]


def possible_steps(recipe: RecipeSpec, given: Collection[str]) -> dict[str, RecipeStep]:
    """The steps that can run with these inputs given: without those that need another, directly or not.

    Raises ValueError for an input that the recipe does not take, or one that it cannot do without.
    """
    for name in given:
        if name not in recipe.given:
            raise ValueError(f"{name}: this recipe takes {', '.join(recipe.given) or 'no inputs'}")
    for name, wanted in recipe.given.items():
        if wanted.required and name not in given:
            raise ValueError(f"{name}: give it: {wanted.help or 'an input of this recipe'}")
    kept: dict[str, RecipeStep] = {}
    for name, step in recipe.steps.items():
        refs = step.inputs.values()
        if all(
            (ref.given is None or ref.given in given) and (ref.step is None or ref.step in kept)
            for ref in refs
        ):
            kept[name] = step
    return kept


def with_values(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """A spec with some values changed, by dotted path; what is given stays as it is."""
    spec = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node = spec
        for parent in parents:
            inner = node.get(parent) or {}
            if not isinstance(inner, dict):
                raise ValueError(f"{path}: {parent} is not a group of fields")
            node[parent] = dict(inner)
            node = node[parent]
        node[leaf] = value
    return spec
