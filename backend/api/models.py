"""Models that people may ask."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from backend.store import models
from vise_client.schemas import ModelCreate, ModelUpdate, ModelView

from .dependencies import Db, admin, editor

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", response_model=list[ModelView])
def list_models(db: Db) -> list[ModelView]:
    """The default one first, then the newest."""
    return [models.view(model) for model in models.list_models(db)]


@router.post("", response_model=ModelView, status_code=201, dependencies=[editor])
def register(body: ModelCreate, db: Db) -> ModelView:
    """Make a model of a succeeded evaluate run."""
    model = models.register(db, body)
    db.refresh(model)
    return models.view(model)


@router.get("/{model_id}", response_model=ModelView)
def read(model_id: UUID, db: Db) -> ModelView:
    return models.view(models.get(db, model_id))


@router.patch("/{model_id}", response_model=ModelView, dependencies=[editor])
def update(model_id: UUID, body: ModelUpdate, db: Db) -> ModelView:
    """Rename it, or make it the default."""
    model = models.get(db, model_id)
    if body.name is not None:
        models.rename(db, model_id, body.name)
    if body.default:
        models.set_default(db, model_id)
    db.flush()
    db.refresh(model)
    return models.view(model)


@router.delete("/{model_id}", status_code=204, dependencies=[admin])
def delete(model_id: UUID, db: Db) -> Response:
    """Forget the model and its predictions; the run that made it stays."""
    models.delete(db, model_id)
    return Response(status_code=204)
