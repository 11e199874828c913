"""The clusters behind pseudo-labels: what each is about, searched and paged on the server."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from backend.api.dependencies import Db, Store
from backend.store.clusters import explorers
from vise_client.schemas.clusters import ClusterDetail, ClusterKind, ClusterPage, ClusterPoints, ExplorerView

router = APIRouter(prefix="/explorers", tags=["clusters"])

Search = Annotated[
    str, Query(max_length=200, description="Words that must all be among its terms or sample comments.")
]


@router.get("", response_model=list[ExplorerView])
def list_explorers(
    db: Db, storage: Store, limit: Annotated[int, Query(ge=1, le=50)] = 20
) -> list[ExplorerView]:
    """Succeeded runs of the stage explore, newest first."""
    return [explorers.view(db, storage, artifact) for artifact in explorers.list_explorers(db, limit=limit)]


@router.get("/{artifact_id}", response_model=ExplorerView)
def read(artifact_id: UUID, db: Db, storage: Store) -> ExplorerView:
    return explorers.view(db, storage, artifact_id)


@router.get("/{artifact_id}/{kind}", response_model=ClusterPage)
def list_clusters(
    artifact_id: UUID,
    kind: ClusterKind,
    db: Db,
    storage: Store,
    search: Search = "",
    sort: Annotated[
        str | None,
        Query(
            max_length=40,
            description="size, cluster or a reaction; - in front: descending. Without: the largest, or with a search "
            "those whose terms carry most of its words.",
        ),
    ] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ClusterPage:
    """Clusters with terms, comments, reactions and pictures of sample posts."""
    found = explorers.load(db, storage, artifact_id)
    return explorers.page(found, storage, kind, search=search, sort=sort, offset=offset, limit=limit)


@router.get("/{artifact_id}/{kind}/map", response_model=ClusterPoints)
def read_map(
    artifact_id: UUID, kind: ClusterKind, db: Db, storage: Store, search: Search = ""
) -> ClusterPoints:
    """The centroids on the plane in which they differ most."""
    return explorers.points(explorers.load(db, storage, artifact_id), kind, search=search)


@router.get("/{artifact_id}/{kind}/{cluster}", response_model=ClusterDetail)
def read_cluster(
    artifact_id: UUID, kind: ClusterKind, cluster: Annotated[int, Path(ge=0)], db: Db, storage: Store
) -> ClusterDetail:
    return explorers.detail(explorers.load(db, storage, artifact_id), storage, kind, cluster)
