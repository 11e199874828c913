"""What there is to run, and who is there to run it."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.dependencies import Config, Db, editor
from backend.store.errors import NotFound
from backend.store.runs import drafts, workers
from vise_client.schemas.launch import InputCandidate, LaunchCheck, RecipeView, StageDraft, StageView
from vise_client.schemas.workers import QueueView, WorkerView
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.stages import STAGES

router = APIRouter(tags=["catalogue"])


@router.get("/stages", response_model=list[StageView])
def stages() -> list[StageView]:
    """Every stage with the JSON schema of its spec, its inputs and outputs, and the paper's presets."""
    return _stages()


@cache
def _stages() -> list[StageView]:
    # Building the schemas takes a moment, and they are the same as long as this process lives.
    return [
        StageView(
            name=name,
            title=entry.title,
            help=entry.help,
            queue=entry.queue,
            spec_schema=entry.spec.model_json_schema(),
            inputs={role: wanted.model_dump() for role, wanted in entry.inputs.items()},
            outputs=dict(entry.outputs),
            presets={preset: dict(values) for preset, values in entry.presets.items()},
            defaults=entry.spec().model_dump(mode="json"),
        )
        for name, entry in STAGES.items()
    ]


@router.post("/stages/{name}/validate", response_model=LaunchCheck, dependencies=[editor])
def validate(name: str, body: StageDraft, db: Db, settings: Config) -> LaunchCheck:
    """Everything that is wrong with a draft, by field; where nothing is, its time, memory and disk.

    Warnings do not prevent the launch: a registered folder that has changed since its newest version.
    """
    if name not in STAGES:
        raise NotFound(f"there is no stage {name}; one of {', '.join(STAGES)}")
    return drafts.check(db, name, body, settings.data_root)


@router.get("/inputs", response_model=list[InputCandidate])
def inputs(
    db: Db,
    artifact: Annotated[list[str], Query(min_length=1, max_length=50, description="Any of these fits.")],
    search: Annotated[str, Query(max_length=200, description="Part of the name, or a tag.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[InputCandidate]:
    """What fits an input: artifacts of runs, newest first, then data sets."""
    return drafts.candidates(db, artifact, search=search, limit=limit)


@router.get("/recipes", response_model=list[RecipeView])
def recipes() -> list[RecipeView]:
    return [RecipeView(name=name, spec=spec) for name, spec in RECIPES.items()]


@router.get("/workers", response_model=list[WorkerView])
def list_workers(db: Db) -> list[WorkerView]:
    return workers.list_workers(db)


@router.get("/queues", response_model=list[QueueView])
def list_queues(db: Db) -> list[QueueView]:
    """Who waits in which line, and whether anybody serves it."""
    return workers.queues(db)
