"""Operations on registered models."""

from __future__ import annotations

from ..operation import Id, delete, get, patch, post
from ..schemas.derived import Derived
from ..schemas.models import ModelCardView, ModelCreate, ModelUpdate, ModelView


class ModelOperations:
    """Manage the registered models, which serve predictions."""

    @get("/models")
    def models(
        self, *, search: str = "", task: str = "", offset: int = 0, limit: int = 1000
    ) -> list[ModelView]:
        """Return models, the default one first, then the newest. ``search`` is a part of name, method or backbone."""

    @get("/models/{model_id}")
    def model(self, model_id: Id) -> ModelView:
        """Return a model."""

    @get("/models/{model_id}/card")
    def model_card(self, model_id: Id) -> ModelCardView:
        """Return a model's card: what it is, what it was made from, its results, limits and licence."""

    @get("/models/{model_id}/download")
    def download_model(self, model_id: Id) -> bytes:
        """Return a tar in memory: weights as safetensors, predictor.json, and the model card."""

    @post("/models")
    def register_model(self, body: ModelCreate) -> ModelView:
        """Register the predictor of a succeeded evaluate run as a model."""

    @patch("/models/{model_id}")
    def update_model(self, model_id: Id, body: ModelUpdate) -> ModelView:
        """Rename a model, or make it the default."""

    @get("/models/{model_id}/derived")
    def model_derived(self, model_id: Id, *, offset: int = 0, limit: int = 100) -> Derived:
        """Return what depends on a model, and what becomes of each when it is deleted."""

    @delete("/models/{model_id}")
    def delete_model(self, model_id: Id) -> None:
        """Delete a model and its predictions; the run that it was made from stays."""
