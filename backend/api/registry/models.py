"""Routes for models that serve predictions."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from backend.api import needs, owners
from backend.api.dependencies import Db, Limit, Offset, ReadDb, Store, Who
from backend.api.documented import problems
from backend.store.changes import check_expected
from backend.store.registry import artifacts, model_cards, models
from backend.store.upkeep.derived import derived
from vise_client.schemas.derived import Derived
from vise_client.schemas.models import ModelCardView, ModelCreate, ModelUpdate, ModelView

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", response_model=list[ModelView], dependencies=[needs.read])
def list_models(
    db: Db,
    search: Annotated[str, Query(max_length=200, description="Part of the name, method or backbone.")] = "",
    task: Annotated[str, Query(max_length=200)] = "",
    offset: Offset = 0,
    limit: Limit = 1000,
) -> list[ModelView]:
    """List the models, the default model first, then newest first."""
    rows = models.list_models(db, search=search, task=task, offset=offset, limit=limit)
    return models.views(db, rows)


@router.post("", response_model=ModelView, status_code=201, dependencies=[needs.run])
def register(body: ModelCreate, db: Db, who: Who) -> ModelView:
    """Register the model of a succeeded evaluate run of one's own; admins that of any.

    Another user's default model is replaced by admins only. Status 409 if the name is taken, 422 for any other run.
    """
    model = models.register(db, body, who)
    db.refresh(model)
    return models.view(db, model)


@router.get("/{model_id}", response_model=ModelView, dependencies=[needs.read])
def read(model_id: UUID, db: Db) -> ModelView:
    """Return a model. Status 404 if no model has this id."""
    return models.view(db, models.get(db, model_id))


@router.get("/{model_id}/card", response_model=ModelCardView, dependencies=[needs.read])
def card(model_id: UUID, db: Db) -> ModelCardView:
    """Return the model card: task, training data, scores, limits and licence; also as Markdown.

    Status 404 if no model has this id.
    """
    return model_cards.card(db, model_id)


@router.get(
    "/{model_id}/download",
    response_class=StreamingResponse,
    dependencies=[needs.read],
    responses=problems(410),
)
def download(model_id: UUID, db: ReadDb, storage: Store) -> StreamingResponse:
    """Download a model as a tar: weights as safetensors, predictor.json, and the card as README.md.

    Status 404 if no model has this id.
    """
    card = model_cards.card(db, model_id)
    artifact = artifacts.get(db, models.get(db, model_id).artifact_id)
    first = artifact.manifest[0]["sha256"]
    db.close()
    # Missing bytes must give an error response, not a download that breaks off.
    storage.open(first).close()
    body = model_cards.as_tar(storage, artifact, card.facts.name, card.markdown)
    name = f"{model_cards.slug(card.facts.name)}.tar"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Security-Policy": "sandbox"}
    return StreamingResponse(body, media_type="application/x-tar", headers=headers)


@router.patch("/{model_id}", response_model=ModelView, dependencies=[needs.run, owners.of_model])
def update(model_id: UUID, body: ModelUpdate, db: Db, who: Who) -> ModelView:
    """Rename a model, or make it the default; another user's default model is replaced by admins only.

    Status 404 if no model has this id, 409 if the name is taken.
    """
    model = models.get(db, model_id)
    check_expected(db, model, body)
    if body.name is not None:
        models.rename(db, model_id, body.name)
    if body.default:
        models.set_default(db, model_id, who)
    db.flush()
    db.refresh(model)
    return models.view(db, model)


@router.get("/{model_id}/derived", response_model=Derived, dependencies=[needs.admin])
def read_derived(
    model_id: UUID,
    db: Db,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 100,
) -> Derived:
    """List what depends on a model, and what becomes of each when the model is deleted. Status 404 if no model has this id."""
    return derived(db, "model", model_id, who, offset=offset, limit=limit)


@router.delete("/{model_id}", status_code=204, dependencies=[needs.admin])
def delete(model_id: UUID, db: Db) -> Response:
    """Delete a model and its predictions; the run that made it stays. Status 404 if no model has this id."""
    models.delete(db, model_id)
    return Response(status_code=204)
