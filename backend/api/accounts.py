"""Signing in, tokens, users."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response

from backend.store import users
from backend.store.errors import Conflict
from backend.store.tables import User
from vise_client.schemas import (
    Login,
    LoginCode,
    Role,
    Session,
    TokenCreate,
    TokenCreated,
    TokenView,
    UserCreate,
    UserUpdate,
    UserView,
)

from .dependencies import Db, Who, admin
from .errors import ApiProblem

SESSION = timedelta(days=14)

public = APIRouter(prefix="/auth", tags=["accounts"])
router = APIRouter(tags=["accounts"])


@public.post("/login", response_model=Session)
def login(request: Request, body: Login, db: Db) -> Session:
    """Address and password for a session token. Ten failures in five minutes close the door for as long."""
    address = request.client.host if request.client else ""
    if users.too_many_attempts(db, body.email, address):
        raise ApiProblem(
            429, "Too many attempts", "wait five minutes, then try again", headers={"Retry-After": "300"}
        )
    user = users.verify_password(db, body.email, body.password)
    if user is None:
        # In a transaction of its own: this one is rolled back by the answer.
        with request.app.state.sessions.begin() as own:
            users.note_failed_attempt(own, body.email, address)
        raise ApiProblem(401, "Not signed in", "the address or the password is wrong")
    return _session(db, user)


@public.post("/code", response_model=Session)
def redeem(body: LoginCode, db: Db) -> Session:
    """The one-time code of a link for a session token; it works once, for a few minutes."""
    user = users.redeem_code(db, body.code)
    if user is None:
        raise ApiProblem(
            401, "Not signed in", "this link was used already or is too old; start again for a new one"
        )
    return _session(db, user)


@router.get("/auth/me", response_model=UserView)
def me(who: Who, db: Db) -> UserView:
    user = UserView.model_validate(users.get_user(db, who.user_id))
    return user.model_copy(update={"role": who.role})


@router.post("/auth/logout", status_code=204)
def logout(who: Who, db: Db) -> Response:
    """Make this token worthless."""
    users.revoke_token(db, who.token_id, who.user_id)
    return Response(status_code=204)


@router.get("/tokens", response_model=list[TokenView])
def list_tokens(who: Who, db: Db) -> list[TokenView]:
    """Your own API tokens; the secrets are not kept."""
    return [TokenView.model_validate(token) for token in users.list_tokens(db, who.user_id)]


@router.post("/tokens", response_model=TokenCreated, status_code=201)
def create_token(body: TokenCreate, who: Who, db: Db) -> TokenCreated:
    """A new API token, shown once. A token never gives more than the one that made it."""
    role = min(body.role or who.role, who.role, key=users.RANK.__getitem__)
    lifetime = timedelta(days=body.expires_days) if body.expires_days else None
    secret, token = users.issue_token(
        db, users.get_user(db, who.user_id), "api", lifetime=lifetime, role=role, name=body.name
    )
    db.refresh(token)
    return TokenCreated(**TokenView.model_validate(token).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: UUID, who: Who, db: Db) -> Response:
    users.revoke_token(db, token_id, who.user_id)
    return Response(status_code=204)


@router.get("/users", response_model=list[UserView], dependencies=[admin])
def list_users(db: Db) -> list[UserView]:
    return [UserView.model_validate(user) for user in users.list_users(db)]


@router.post("/users", response_model=UserView, status_code=201, dependencies=[admin])
def create_user(body: UserCreate, db: Db) -> UserView:
    user = users.create_user(db, body.email, body.password, body.role)
    db.refresh(user)
    return UserView.model_validate(user)


@router.patch("/users/{user_id}", response_model=UserView, dependencies=[admin])
def update_user(user_id: UUID, body: UserUpdate, who: Who, db: Db) -> UserView:
    """Change the role, or shut a user off; not your own, so that one admin always stays."""
    if user_id == who.user_id:
        raise Conflict("you cannot change your own role or shut yourself off; ask another admin")
    user = users.get_user(db, user_id)
    if body.role is not None:
        user.role = Role(body.role).value
    if body.active is not None:
        user.active = body.active
    db.flush()
    return UserView.model_validate(user)


def _session(db: Db, user: User) -> Session:
    secret, token = users.issue_token(db, user, "session", lifetime=SESSION)
    return Session(token=secret, expires_at=token.expires_at, user=UserView.model_validate(user))
