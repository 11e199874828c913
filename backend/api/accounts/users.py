"""Routes by which admins manage users."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.api import needs
from backend.api.dependencies import Db, Limit, Offset, Who
from backend.store.accounts import deletion, users
from backend.store.changes import check_expected
from backend.store.errors import Conflict
from backend.store.upkeep.derived import derived
from vise_client.schemas.accounts import (
    Role,
    UserCreate,
    UserUpdate,
    UserView,
)
from vise_client.schemas.derived import Derived

router = APIRouter(tags=["accounts"])


@router.get("/users", response_model=list[UserView], dependencies=[needs.admin])
def list_users(
    db: Db,
    search: Annotated[str, Query(max_length=200, description="Part of the address.")] = "",
    offset: Offset = 0,
    limit: Limit = 1000,
) -> list[UserView]:
    """List the users by address."""
    rows = users.list_users(db, search=search, offset=offset, limit=limit)
    return [UserView.model_validate(user) for user in rows]


@router.post("/users", response_model=UserView, status_code=201, dependencies=[needs.admin])
def create_user(body: UserCreate, db: Db) -> UserView:
    """Create a user with an address, a password and a role. Status 409 if the address is taken."""
    user = users.create_user(db, body.email, body.password, body.role)
    db.refresh(user)
    return UserView.model_validate(user)


@router.patch("/users/{user_id}", response_model=UserView, dependencies=[needs.admin])
def update_user(user_id: UUID, body: UserUpdate, who: Who, db: Db) -> UserView:
    """Change the role of a user, or deactivate the user. Status 409 for your own account, so one admin always remains.

    Status 404 if no user has this id.
    """
    if user_id == who.user_id:
        raise Conflict("you cannot change your own role or deactivate yourself; ask another admin")
    user = users.get_user(db, user_id)
    check_expected(db, user, body)
    if body.role is not None:
        user.role = Role(body.role).value
    if body.active is not None:
        user.active = body.active
    db.flush()
    return UserView.model_validate(user)


@router.get("/users/{user_id}/derived", response_model=Derived, dependencies=[needs.admin])
def read_derived(
    user_id: UUID,
    db: Db,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 100,
) -> Derived:
    """List what a user has made, and what becomes of each when the user is deleted. Status 404 if no user has this id."""
    return derived(db, "user", user_id, who, offset=offset, limit=limit)


@router.delete("/users/{user_id}", status_code=204, dependencies=[needs.admin])
def delete_user(user_id: UUID, who: Who, db: Db) -> Response:
    """Delete a user for good, with tokens, saved views, predictions and feedback; runs, models and data sets stay.

    Labels that others gave to the user's predictions are deleted too, and the audit log says "deleted user".

    Status 404 if no user has this id, 409 for your own account, so one admin always remains.
    """
    if user_id == who.user_id:
        raise Conflict("you cannot delete your own account; ask another admin")
    deletion.delete_user(db, users.get_user(db, user_id).email)
    return Response(status_code=204)
