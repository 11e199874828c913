"""Operations that start runs, and list stages, recipes and inputs."""

from __future__ import annotations

from collections.abc import Sequence

from ..operation import Id, create, get, post
from ..schemas.launch import (
    InputCandidate,
    LaunchCheck,
    RecipeCreate,
    RecipeView,
    RunClone,
    RunCreate,
    StageDraft,
    StageView,
    SweepCreate,
)
from ..schemas.runs import RunView


class LaunchOperations:
    """Start stages, recipes and sweeps."""

    @get("/stages")
    def stages(self) -> list[StageView]:
        """Return every stage with the JSON schema of its spec, its inputs, outputs and presets."""

    @get("/recipes")
    def recipes(self) -> list[RecipeView]:
        """Return the recipes that the server ships."""

    @get("/inputs")
    def input_candidates(
        self, artifact: Sequence[str], *, search: str = "", limit: int = 50
    ) -> list[InputCandidate]:
        """Return artifacts and data sets for an input that takes any of these kinds of artifact, newest first."""

    @post("/stages/{name}/validate")
    def validate(self, name: str, body: StageDraft) -> LaunchCheck:
        """Check a draft of a run or sweep of a stage: its problems by field, or its time, memory and disk."""

    @create("/runs")
    def create_run(self, body: RunCreate) -> RunView:
        """Queue a run of one stage. It waits where a run whose artifacts it reads has not finished."""

    @create("/recipes/runs")
    def create_recipe(self, body: RecipeCreate) -> RunView:
        """Start a recipe: a parent run with one child for each step."""

    @create("/sweeps")
    def create_sweep(self, body: SweepCreate) -> RunView:
        """Start a sweep: a parent run with one child for each point of the grid."""

    @create("/runs/{run_id}/clone")
    def clone(self, run_id: Id, body: RunClone) -> RunView:
        """Start a copy of a run, with changes."""
