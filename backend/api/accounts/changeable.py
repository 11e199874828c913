"""Route that answers what the caller may change, so that no page has a rule of its own."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.api import needs, owners
from backend.api.dependencies import Db, Who
from vise_client.schemas.accounts import Owned

router = APIRouter(tags=["accounts"])


@router.get("/changeable", response_model=list[UUID], dependencies=[needs.signed_in])
def changeable(
    kind: Owned,
    db: Db,
    who: Who,
    ids: Annotated[list[UUID], Query(alias="id", max_length=200, description="Ids of things of this kind.")],
) -> list[UUID]:
    """Return the ids of the things that you may change or delete: your own, for admins everybody's."""
    return owners.changeable(kind, ids, db, who)
