"""Routes by which admins remove posts for good. A worker lists what holds them, and removes them once applied."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.api import needs
from backend.api.dependencies import Db, Who
from backend.store.upkeep import removals
from vise_client.schemas.removals import RemovalCreate, RemovalView
from vise_client.schemas.wire import Page

router = APIRouter(prefix="/removals", tags=["removals"])


@router.get("", response_model=Page[RemovalView], dependencies=[needs.admin])
def list_removals(
    db: Db,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=50, description="Each comes with its whole list.")] = 20,
) -> Page[RemovalView]:
    """List the removals of posts, newest first; page with ``next_cursor``."""
    return removals.page(db, cursor=cursor, limit=limit)


@router.post("", response_model=RemovalView, status_code=202, dependencies=[needs.admin])
def create(body: RemovalCreate, db: Db, who: Who) -> RemovalView:
    """List what holds posts and what was derived from them; nothing is removed until the removal is applied."""
    return removals.view(db, removals.create(db, body.posts, who.user_id))


@router.get("/{removal_id}", response_model=RemovalView, dependencies=[needs.admin])
def read(removal_id: UUID, db: Db) -> RemovalView:
    """Return a removal: what holds the posts, what was done, and the proof. Status 404 if no removal has this id."""
    return removals.view(db, removals.get(db, removal_id))


@router.post("/{removal_id}/apply", response_model=RemovalView, status_code=202, dependencies=[needs.admin])
def apply(removal_id: UUID, db: Db) -> RemovalView:
    """Remove the posts for good; a worker does it, then reads everything again as a proof.

    If the list failed, it is made again, and nothing is removed until the removal is applied once more.

    Status 404 if no removal has this id, 409 while it is being listed, and if the posts have been removed already.
    """
    return removals.view(db, removals.apply(db, removal_id))


@router.delete("/{removal_id}", status_code=204, dependencies=[needs.admin])
def delete(removal_id: UUID, db: Db) -> Response:
    """Delete a removal that was only listed. Status 404 if no removal has this id, 409 once it was applied."""
    removals.discard(db, removal_id)
    return Response(status_code=204)
