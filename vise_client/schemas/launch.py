"""What starts a run: stages, recipes and sweeps, drafts and their checks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from vise_core.specs.estimate import Estimate
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.recipes.recipe import RecipeSpec
from vise_core.specs.recipes.sweep import SweepSpec

from .run_states import RunState
from .wire import Request, Wire


class RunCreate(Request):
    """One stage with its spec and inputs."""

    stage: str
    name: str = Field("", max_length=200)
    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, InputRef] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list, max_length=50)


class RecipeCreate(Request):
    """A recipe by name (from the catalogue) or given whole."""

    recipe: str | None = None
    spec: RecipeSpec | None = None
    inputs: dict[str, InputRef] = Field(default_factory=dict, description="What the recipe calls given.")
    name: str = Field("", max_length=200)
    tags: list[str] = Field(default_factory=list, max_length=50)


class SweepCreate(Request):
    spec: SweepSpec
    name: str = Field("", max_length=200)
    tags: list[str] = Field(default_factory=list, max_length=50)


class StageDraft(Request):
    """A run that is being thought of: what the launch form holds."""

    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, InputRef] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="Of a sweep: dotted path in the spec → values."
    )


class FieldProblem(Wire):
    field: str = Field(description="Dotted path: spec.compute.device, inputs.posts, grid.base_lr.")
    message: str
    missing: bool = Field(False, description="Nothing is wrong: it is still to be chosen.")


class LaunchCheck(Wire):
    """What is wrong with a draft; where nothing is, what it would take."""

    problems: list[FieldProblem]
    warnings: list[FieldProblem] = Field(
        default_factory=list, description="What does not prevent the launch: a folder that has changed."
    )
    runs: int = Field(description="Runs that it would start.")
    estimate: Estimate | None = Field(description="Of all of them; null where there are problems.")


class InputCandidate(Wire):
    """Something that fits an input: an artifact of a run, or a data set."""

    ref: InputRef
    name: str
    made_by: str = Field(description="The stage, or data set.")
    state: RunState | None = Field(description="Of the run; one that is not over yet is waited for.")
    synthetic: bool
    created_at: datetime
    version: int | None = Field(None, description="Of a data set: its newest version.")


class RunClone(Request):
    """What to change in the copy; what is null stays as it was."""

    name: str | None = Field(None, max_length=200)
    spec: dict[str, Any] | None = None
    inputs: dict[str, InputRef] | None = None


class RecipeView(Wire):
    name: str
    spec: RecipeSpec


class StageView(Wire):
    """A stage as forms need it: JSON schemas made from the one spec model."""

    name: str
    title: str
    help: str
    queue: str
    spec_schema: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, str]
    presets: dict[str, dict[str, Any]] = Field(description="Preset name → spec.")
    defaults: dict[str, Any] = Field(
        default_factory=dict, description="The whole spec as it is when nothing is said."
    )
