"""Requests that start runs of stages, recipes and sweeps; drafts and their checks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from vise_core.specs.base import Name, Tag
from vise_core.specs.estimate import Estimate
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.recipes.recipe import RecipeSpec
from vise_core.specs.recipes.sweep import SweepSpec

from .run_states import RunState
from .wire import RequestBody, ResponseBody

MAX_HOURS = 10_000.0
"""Longest time limit that a request may set."""
MaxHours = Annotated[
    float | None,
    Field(
        gt=0,
        le=MAX_HOURS,
        description="A run is stopped and fails when an attempt takes longer; it can be retried from its saved state. "
        "None: the server's limit.",
    ),
]
"""The time limit of a request's runs."""


class RunCreate(RequestBody):
    """A run of one stage with this spec on these inputs."""

    stage: Name
    name: str = Field("", max_length=200)
    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[Name, InputRef] = Field(default_factory=dict)
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    max_hours: MaxHours = None


class RecipeCreate(RequestBody):
    """A run of a recipe: a built-in one by its name, or any recipe as its spec."""

    recipe: Name | None = None
    spec: RecipeSpec | None = None
    inputs: dict[Name, InputRef] = Field(default_factory=dict, description="The recipe's inputs by role.")
    name: str = Field("", max_length=200)
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    max_hours: MaxHours = None


class SweepCreate(RequestBody):
    """A run of a sweep."""

    spec: SweepSpec
    name: str = Field("", max_length=200)
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    max_hours: MaxHours = None


class StageDraft(RequestBody):
    """A draft of a run or sweep, as the launch form holds it."""

    spec: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[Name, InputRef] = Field(default_factory=dict)
    grid: dict[Name, list[Any]] = Field(
        default_factory=dict, description="Of a sweep: dotted path in the spec → values of the grid."
    )


class FieldProblem(ResponseBody):
    """A problem of one field of a draft."""

    field: str = Field(description="Dotted path: spec.compute.device, inputs.posts, grid.base_lr.")
    message: str
    missing: bool = Field(False, description="The field is required and not chosen yet.")


class LaunchCheck(ResponseBody):
    """The problems of a draft; without problems, the estimate of its time, memory and disk."""

    problems: list[FieldProblem]
    warnings: list[FieldProblem] = Field(
        default_factory=list, description="Problems that do not prevent the launch, such as a changed folder."
    )
    runs: int = Field(description="Number of runs that the launch would start.")
    estimate: Estimate | None = Field(
        description="Estimate for all runs together; null where there are problems."
    )


class InputCandidate(ResponseBody):
    """An artifact of a run, or a data set, that fits an input."""

    ref: InputRef
    name: str
    made_by: str = Field(description="Name of the stage, or data set.")
    state: RunState | None = Field(
        description="State of the run; a launch waits for a run that has not finished."
    )
    synthetic: bool
    created_at: datetime
    version: int | None = Field(None, description="Newest version of a data set.")


class RunClone(RequestBody):
    """Changes in a copy of a run; null copies the field."""

    name: str | None = Field(None, max_length=200)
    spec: dict[str, Any] | None = None
    inputs: dict[Name, InputRef] | None = None


class RecipeView(ResponseBody):
    """A built-in recipe."""

    name: str
    spec: RecipeSpec


class StageView(ResponseBody):
    """A stage: the JSON schema of its spec, its inputs and outputs, and its presets."""

    name: str
    title: str
    help: str
    queue: str
    spec_schema: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, str]
    presets: dict[str, dict[str, Any]] = Field(description="Preset name → spec.")
    defaults: dict[str, Any] = Field(default_factory=dict, description="The whole spec with every default.")
