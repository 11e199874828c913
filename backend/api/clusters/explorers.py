"""Routes for the clusters behind pseudo-labels: their terms, sample posts and centroids."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from backend.api import needs
from backend.api.dependencies import ReadDb, Store
from backend.api.documented import problems
from backend.store.clusters import explorers
from vise_client.schemas.clusters import ClusterDetail, ClusterKind, ClusterPage, ClusterPoints, ExplorerView

router = APIRouter(prefix="/explorers", tags=["clusters"], responses=problems(410))

Search = Annotated[
    str,
    Query(max_length=200, description="Words that must all be among a cluster's terms or sample comments."),
]


@router.get("", response_model=list[ExplorerView], dependencies=[needs.read])
def list_explorers(
    db: ReadDb, storage: Store, limit: Annotated[int, Query(ge=1, le=50)] = 20
) -> list[ExplorerView]:
    """List the succeeded runs of the stage explore, newest first."""
    return [explorers.view(db, storage, artifact) for artifact in explorers.list_explorers(db, limit=limit)]


@router.get("/{artifact_id}", response_model=ExplorerView, dependencies=[needs.read])
def read(artifact_id: UUID, db: ReadDb, storage: Store) -> ExplorerView:
    """Return an explorer: how labels spread over clusters, and how comment and reaction clusters agree.

    Status 404 if no artifact has this id.
    """
    return explorers.view(db, storage, artifact_id)


@router.get("/{artifact_id}/{kind}", response_model=ClusterPage, dependencies=[needs.read])
def list_clusters(
    artifact_id: UUID,
    kind: ClusterKind,
    db: ReadDb,
    storage: Store,
    search: Search = "",
    sort: Annotated[
        str | None,
        Query(
            max_length=40,
            description="size, cluster or a reaction; with - in front: descending. Default: the largest first; with a "
            "search, the clusters whose terms weigh most in it.",
        ),
    ] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ClusterPage:
    """List clusters with the terms, comments, reactions and pictures of sample posts.

    Status 404 if no artifact has this id.
    """
    explorer = explorers.load(db, storage, artifact_id)
    return explorers.page(explorer, storage, kind, search=search, sort=sort, offset=offset, limit=limit)


@router.get("/{artifact_id}/{kind}/map", response_model=ClusterPoints, dependencies=[needs.read])
def read_map(
    artifact_id: UUID, kind: ClusterKind, db: ReadDb, storage: Store, search: Search = ""
) -> ClusterPoints:
    """Return the centroids, projected onto their first two principal components. Status 404 if no artifact has this id."""
    return explorers.points(explorers.load(db, storage, artifact_id), kind, search=search)


@router.get("/{artifact_id}/{kind}/{cluster}", response_model=ClusterDetail, dependencies=[needs.read])
def read_cluster(
    artifact_id: UUID, kind: ClusterKind, cluster: Annotated[int, Path(ge=0)], db: ReadDb, storage: Store
) -> ClusterDetail:
    """Return one cluster with its strongest pairs of the other kind. Status 404 if no artifact has this id."""
    return explorers.detail(explorers.load(db, storage, artifact_id), storage, kind, cluster)
