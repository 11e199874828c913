"""What there is to run, and who is there to run it."""

from __future__ import annotations

from fastapi import APIRouter

from backend.store import workers
from vise_client.schemas import RecipeView, StageView, WorkerView
from vise_core.specs.presets import PRESETS
from vise_core.specs.recipe_registry import RECIPES
from vise_core.specs.stages import STAGES

from .dependencies import Db

router = APIRouter(tags=["catalogue"])


@router.get("/stages", response_model=list[StageView])
def stages() -> list[StageView]:
    """Every stage with the JSON schema of its spec, its inputs and outputs, and the paper's presets."""
    return [
        StageView(
            name=name,
            title=entry.title,
            help=entry.help,
            queue=entry.queue,
            spec_schema=entry.spec.model_json_schema(),
            inputs={role: wanted.model_dump() for role, wanted in entry.inputs.items()},
            outputs=entry.outputs,
            presets=PRESETS.get(name, {}),
        )
        for name, entry in STAGES.items()
    ]


@router.get("/recipes", response_model=list[RecipeView])
def recipes() -> list[RecipeView]:
    return [RecipeView(name=name, spec=spec) for name, spec in RECIPES.items()]


@router.get("/workers", response_model=list[WorkerView])
def list_workers(db: Db) -> list[WorkerView]:
    return workers.list_workers(db)
