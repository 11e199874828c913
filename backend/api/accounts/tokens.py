"""Routes for one's own API tokens."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from backend.api.dependencies import Db, Who
from backend.store.accounts import users
from vise_client.schemas.accounts import (
    TokenCreate,
    TokenCreated,
    TokenView,
)

router = APIRouter(tags=["accounts"])


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
