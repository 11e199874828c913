"""Recipes: a whole chain of runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import Field, PrivateAttr, model_validator

from ..base import Name, Record, Spec, Text
from ..stages import STAGES, validate_spec
from .inputs import InputRef


class RecipeStep(Record):
    """A step of a recipe: one run of a stage."""

    stage: Name
    title: Text = ""
    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[Name, InputRef] = Field(default_factory=dict)


class RecipeInput(Record):
    """An input of a recipe, named when the recipe is launched."""

    help: Text = ""
    artifact: Name | None = Field(
        None,
        description="Name of the artifact of a stage that fits; null: whatever the steps that read it take. A data set "
        "fits either way.",
    )
    required: bool = Field(True, description="Off: without it, the steps that need it are left out.")


class RegisterBest(Record):
    """Once all steps have succeeded, register the predictor with the best val score as the default model."""

    among: tuple[Name, ...] = Field(min_length=1, description="Names of the evaluate steps to choose from.")
    name: Name = "sample"


class RecipeSpec(Record):
    """A chain of runs. Steps run as soon as the steps they read from have succeeded."""

    title: Text
    description: Text = ""
    synthetic: bool = False
    given: dict[Name, RecipeInput] = Field(default_factory=dict)
    steps: dict[Name, RecipeStep]
    register_best: RegisterBest | None = None
    _specs: dict[str, Spec] = PrivateAttr(default_factory=dict)

    @property
    def specs(self) -> dict[str, Spec]:
        """The spec of each step by name, as it was validated with the recipe."""
        return self._specs

    @model_validator(mode="after")
    def _steps_exist_in_order(self) -> RecipeSpec:
        seen: set[str] = set()
        for name, step in self.steps.items():
            if step.stage not in STAGES:
                raise ValueError(
                    f"steps.{name}.stage: unknown stage {step.stage!r}; one of {', '.join(STAGES)}"
                )
            self._specs[name] = validate_spec(step.stage, step.spec)
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


def recipe_input_artifacts(recipe: RecipeSpec, name: str) -> tuple[str, ...]:
    """Return the names of the artifacts that fit an input of a recipe, the one of its own name first.

    These are the artifacts that every step takes that reads the input, by the roles in which they read it.
    """
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


def possible_steps(recipe: RecipeSpec, given: Collection[str]) -> dict[str, RecipeStep]:
    """Return the steps that can run with these inputs: not those that read another input, directly or not.

    Raises ValueError for an input that the recipe does not take, and if a required one is missing.
    """
    for name in given:
        if name not in recipe.given:
            raise ValueError(f"{name}: this recipe takes {', '.join(recipe.given) or 'no inputs'}")
    for name, recipe_input in recipe.given.items():
        if recipe_input.required and name not in given:
            raise ValueError(f"{name}: is required: {recipe_input.help or 'an input of this recipe'}")
    kept: dict[str, RecipeStep] = {}
    for name, step in recipe.steps.items():
        refs = step.inputs.values()
        if all(
            (ref.given is None or ref.given in given) and (ref.step is None or ref.step in kept)
            for ref in refs
        ):
            kept[name] = step
    return kept
