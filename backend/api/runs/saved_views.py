"""Routes for saved views of the run list."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from backend.api import needs
from backend.api.dependencies import Db, Who
from backend.api.errors import ApiProblem
from backend.store.accounts.users import Identity
from backend.store.runs import saved_views
from vise_client.schemas.accounts import Scope
from vise_client.schemas.run_lists import SavedViewCreate, SavedViewUpdate, SavedViewView

router = APIRouter(tags=["views"])


@router.get("/views", response_model=list[SavedViewView], dependencies=[needs.read])
def list_views(db: Db, who: Who) -> list[SavedViewView]:
    """List your own saved views, and those that others share."""
    return saved_views.list_views(db, who)


@router.post("/views", response_model=SavedViewView, status_code=201, dependencies=[needs.personal])
def create_view(body: SavedViewCreate, db: Db, who: Who) -> SavedViewView:
    """Save a query with its columns, order and grouping under a name.

    Status 409 if you have one of this name, 422 for an invalid query.
    """
    _may_share(body.shared, who)
    return saved_views.create(db, body, who)


@router.patch("/views/{view_id}", response_model=SavedViewView, dependencies=[needs.personal])
def update_view(view_id: UUID, body: SavedViewUpdate, db: Db, who: Who) -> SavedViewView:
    """Change one of your own saved views.

    Status 404 if no saved view has this id, 409 if you have another of this name.
    """
    _may_share(body.shared, who)
    return saved_views.update(db, view_id, body, who)


@router.delete("/views/{view_id}", status_code=204, dependencies=[needs.personal])
def delete_view(view_id: UUID, db: Db, who: Who) -> Response:
    """Delete one of your own saved views; an admin may delete any shared view. Status 404 if no saved view has this id."""
    saved_views.delete(db, view_id, who)
    return Response(status_code=204)


def _may_share(shared: bool | None, who: Identity) -> None:
    """Raise ApiProblem (403) if a viewer tries to share a view."""
    if shared and Scope.run not in who.scopes:
        raise ApiProblem(403, "Not allowed", f"sharing a view needs the role editor; yours is {who.role}")
