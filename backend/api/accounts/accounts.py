"""Routes for signing in, API tokens, users and the audit log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from backend.api.dependencies import Db, Who, admin
from backend.api.errors import ApiProblem
from backend.store.accounts import audit, users
from backend.store.accounts.tables import User
from backend.store.changes import check_expected
from backend.store.errors import Conflict, Invalid
from vise_client.schemas.accounts import (
    AuditEntry,
    Login,
    LoginCode,
    PasswordChange,
    Role,
    Session,
    TokenCreate,
    TokenCreated,
    TokenView,
    UserCreate,
    UserUpdate,
    UserView,
)
from vise_client.schemas.wire import Page

SESSION = timedelta(days=14)

public = APIRouter(prefix="/auth", tags=["accounts"])
router = APIRouter(tags=["accounts"])


@public.post("/login", response_model=Session)
def login(request: Request, body: Login, db: Db) -> Session:
    """Exchange an address and a password for a session token; after ten failures, wait five minutes."""
    address = request.client.host if request.client else ""
    if users.too_many_attempts(db, body.email, address):
        raise ApiProblem(
            429, "Too many attempts", "wait five minutes, then try again", headers={"Retry-After": "300"}
        )
    user = users.verify_password(db, body.email, body.password)
    if user is None:
        # In another transaction, as the error response rolls back ``db``.
        with request.app.state.sessions.begin() as attempts:
            users.note_failed_attempt(attempts, body.email, address)
        raise ApiProblem(401, "Not signed in", "the address or the password is wrong")
    return _session(db, user)


@public.post("/code", response_model=Session)
def redeem(body: LoginCode, db: Db) -> Session:
    """Exchange the one-time code of a sign-in link for a session token; a code expires after a few minutes."""
    user = users.redeem_code(db, body.code)
    if user is None:
        raise ApiProblem(401, "Not signed in", "this link was already used or has expired; request a new one")
    return _session(db, user)


@router.get("/auth/me", response_model=UserView)
def me(who: Who, db: Db) -> UserView:
    """Return the user who is signed in, with the role of the token."""
    user = UserView.model_validate(users.get_user(db, who.user_id))
    return user.model_copy(update={"role": who.role})


@router.post("/auth/logout", status_code=204)
def logout(who: Who, db: Db) -> Response:
    """Revoke the token of this request."""
    users.revoke_token(db, who.token_id, who.user_id)
    return Response(status_code=204)


@router.post("/auth/password", status_code=204)
def change_password(body: PasswordChange, who: Who, db: Db) -> Response:
    """Change your password. Your other sessions end; API tokens stay valid."""
    if who.kind != "session":
        raise ApiProblem(403, "Not allowed", "an API token cannot change the password; sign in first")
    user = users.get_user(db, who.user_id)
    if user.password_hash is not None and users.verify_password(db, user.email, body.current) is None:
        raise Invalid("current", "is not your password")
    users.set_password(db, user, body.new, keep=who.token_id)
    return Response(status_code=204)


@router.get("/tokens", response_model=list[TokenView])
def list_tokens(who: Who, db: Db) -> list[TokenView]:
    """List your own API tokens, without their secrets."""
    return [TokenView.model_validate(token) for token in users.list_tokens(db, who.user_id)]


@router.post("/tokens", response_model=TokenCreated, status_code=201)
def create_token(body: TokenCreate, who: Who, db: Db) -> TokenCreated:
    """Create an API token; its secret is shown once. Its role is at most the role of the token that creates it."""
    role = min(body.role or who.role, who.role, key=users.RANK.__getitem__)
    lifetime = timedelta(days=body.expires_days) if body.expires_days else None
    secret, token = users.issue_token(
        db, users.get_user(db, who.user_id), "api", lifetime=lifetime, role=role, name=body.name
    )
    db.refresh(token)
    return TokenCreated(**TokenView.model_validate(token).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: UUID, who: Who, db: Db) -> Response:
    """Revoke one of your tokens."""
    users.revoke_token(db, token_id, who.user_id)
    return Response(status_code=204)


@router.get("/users", response_model=list[UserView], dependencies=[admin])
def list_users(
    db: Db,
    search: Annotated[str, Query(max_length=200, description="Part of the address.")] = "",
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> list[UserView]:
    """List the users by address."""
    rows = users.list_users(db, search=search, offset=offset, limit=limit)
    return [UserView.model_validate(user) for user in rows]


@router.get("/audit", response_model=Page[AuditEntry], dependencies=[admin])
def read_audit(
    db: Db,
    kind: Annotated[
        str | None, Query(max_length=32, description="run, model, data set, user, token.")
    ] = None,
    who: Annotated[str | None, Query(max_length=254, description="Part of the address.")] = None,
    search: Annotated[
        str | None, Query(max_length=200, description="Part of the name of what was changed, or its id.")
    ] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[AuditEntry]:
    """List who changed what, newest first; page with ``next_cursor``."""
    return audit.entries(
        db, kind=kind, who=who, search=search, since=since, until=until, cursor=cursor, limit=limit
    )


@router.post("/users", response_model=UserView, status_code=201, dependencies=[admin])
def create_user(body: UserCreate, db: Db) -> UserView:
    """Create a user with an address, a password and a role."""
    user = users.create_user(db, body.email, body.password, body.role)
    db.refresh(user)
    return UserView.model_validate(user)


@router.patch("/users/{user_id}", response_model=UserView, dependencies=[admin])
def update_user(user_id: UUID, body: UserUpdate, who: Who, db: Db) -> UserView:
    """Change the role of a user, or deactivate the user. Your own account is refused, so one admin always remains."""
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


def _session(db: Db, user: User) -> Session:
    secret, token = users.issue_token(db, user, "session", lifetime=SESSION)
    return Session(token=secret, expires_at=token.expires_at, user=UserView.model_validate(user))
