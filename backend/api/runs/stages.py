"""Routes for stages, recipes, inputs, workers and queues."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from fastapi import APIRouter, Query

from backend.api import needs
from backend.api.dependencies import Config, Db
from backend.store.errors import NotFound
from backend.store.runs import drafts, queues, workers
from vise_client.schemas.launch import InputCandidate, LaunchCheck, RecipeView, StageDraft, StageView
from vise_client.schemas.workers import QueueView, WorkerView
from vise_core.specs.base import Name
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.stages import STAGES

router = APIRouter(tags=["catalogue"])


@router.get("/stages", response_model=list[StageView], dependencies=[needs.read])
def stages() -> list[StageView]:
    """List the stages, each with the JSON schema of its spec, its inputs and outputs, and the paper's presets."""
    return _stages()


@cache
def _stages() -> list[StageView]:
    # Building the schemas takes a moment, and they do not change while this process runs.
    return [
        StageView(
            name=name,
            title=entry.title,
            help=entry.help,
            queue=entry.queue,
            spec_schema=entry.spec.model_json_schema(),
            inputs={role: entry_input.model_dump() for role, entry_input in entry.inputs.items()},
            outputs=dict(entry.outputs),
            presets={preset: dict(values) for preset, values in entry.presets.items()},
            defaults=entry.spec().model_dump(mode="json"),
        )
        for name, entry in STAGES.items()
    ]


@router.post("/stages/{name}/validate", response_model=LaunchCheck, dependencies=[needs.run])
def validate(name: Name, body: StageDraft, db: Db, settings: Config) -> LaunchCheck:
    """Check a draft: return its errors by field, or if it has none, its estimated time, memory and disk space.

    Warnings do not prevent a launch, such as a registered folder that has changed since its newest version. Status 404
    for an unknown stage.
    """
    if name not in STAGES:
        raise NotFound(f"there is no stage {name}; one of {', '.join(STAGES)}")
    return drafts.check(db, name, body, settings.data_root)


@router.get("/inputs", response_model=list[InputCandidate], dependencies=[needs.read])
def inputs(
    db: Db,
    artifact: Annotated[
        list[Name], Query(min_length=1, max_length=50, description="Artifact names that the input accepts.")
    ],
    search: Annotated[str, Query(max_length=200, description="Part of the name, or a tag.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[InputCandidate]:
    """List what fits an input: artifacts of runs, newest first, then data sets."""
    return drafts.candidates(db, artifact, search=search, limit=limit)


@router.get("/recipes", response_model=list[RecipeView], dependencies=[needs.read])
def recipes() -> list[RecipeView]:
    """List the built-in recipes with their specs."""
    return [RecipeView(name=name, spec=spec) for name, spec in RECIPES.items()]


@router.get("/workers", response_model=list[WorkerView], dependencies=[needs.read])
def list_workers(db: Db) -> list[WorkerView]:
    """List the workers with their last heartbeat and current run."""
    return workers.list_workers(db)


@router.get("/queues", response_model=list[QueueView], dependencies=[needs.read])
def list_queues(db: Db) -> list[QueueView]:
    """List the queues, each with the number of waiting runs and of workers that serve it."""
    return queues.list_queues(db)
