"""Routes for one's own API tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response

from backend.api import needs
from backend.api.dependencies import Db, Who
from backend.store.accounts import users
from backend.store.accounts.tables import User
from backend.store.accounts.users import Identity
from backend.store.errors import Invalid
from vise_client.schemas.accounts import (
    ROLE_SCOPES,
    TokenCreate,
    TokenCreated,
    TokenView,
)

from .passwords import check_password

router = APIRouter(tags=["accounts"])


@router.get("/tokens", response_model=list[TokenView], dependencies=[needs.session])
def list_tokens(who: Who, db: Db) -> list[TokenView]:
    """List your own API tokens, without their secrets."""
    return [TokenView.model_validate(token) for token in users.list_tokens(db, who.user_id)]


@router.post("/tokens", response_model=TokenCreated, status_code=201, dependencies=[needs.session])
def create_token(request: Request, body: TokenCreate, who: Who, db: Db) -> TokenCreated:
    """Create an API token; its secret is shown once. Only a session creates tokens.

    Role and scopes are at most those of the session. The token expires no later than the session, unless the request
    has the user's password.
    """
    user = users.get_user(db, who.user_id)
    role = min(body.role or who.role, who.role, key=users.RANK.__getitem__)
    if missing := set(body.scopes or ()) - set(ROLE_SCOPES[role]):
        raise Invalid("scopes", f"the role {role} has no scope {' or '.join(sorted(missing))}")
    lifetime = timedelta(days=body.expires_days) if body.expires_days else None
    secret, token = users.issue_token(
        db,
        user,
        "api",
        lifetime=lifetime,
        role=role,
        scopes=body.scopes,
        name=body.name,
        no_later_than=_latest_end(request, db, body, who, user),
    )
    db.refresh(token)
    return TokenCreated(**TokenView.model_validate(token).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204, dependencies=[needs.session])
def revoke_token(token_id: UUID, who: Who, db: Db) -> Response:
    """Revoke one of your tokens. Status 404 if no token has this id."""
    users.revoke_token(db, token_id, who.user_id)
    return Response(status_code=204)


def _latest_end(request: Request, db: Db, body: TokenCreate, who: Identity, user: User) -> datetime | None:
    """Return when a new token must end; None if its maker gave the password. Raises Invalid.

    A stolen session must not yield a token that outlives it.
    """
    if body.password is not None:
        if check_password(request, db, user.email, body.password) is None:
            raise Invalid("password", "is not your password")
        return None
    end = who.expires_at
    wanted = datetime.now(UTC) + timedelta(days=body.expires_days or 0)
    if end is not None and wanted > end:
        raise Invalid(
            "expires_days",
            f"the token would live longer than your session, which ends on {end:%Y-%m-%d}; "
            "give your password too, or leave the days out",
        )
    return end
