"""Registered data sets."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from backend.store import datasets
from vise_client.schemas import DatasetCreate, DatasetView

from .dependencies import Config, Db, admin

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("", response_model=list[DatasetView])
def list_datasets(db: Db) -> list[DatasetView]:
    return [DatasetView.model_validate(dataset) for dataset in datasets.list_datasets(db)]


@router.post("", response_model=DatasetView, status_code=201, dependencies=[admin])
def register(body: DatasetCreate, db: Db, settings: Config) -> DatasetView:
    """Register a folder below the server's data root."""
    dataset = datasets.register(db, settings.data_root, body)
    db.refresh(dataset)
    return DatasetView.model_validate(dataset)


@router.get("/{dataset_id}", response_model=DatasetView)
def read(dataset_id: UUID, db: Db) -> DatasetView:
    return DatasetView.model_validate(datasets.get(db, dataset_id))


@router.delete("/{dataset_id}", status_code=204, dependencies=[admin])
def delete(dataset_id: UUID, db: Db) -> Response:
    """Forget the entry; the files stay."""
    datasets.delete(db, dataset_id)
    return Response(status_code=204)
