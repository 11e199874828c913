"""Route for the audit log: who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.api import needs
from backend.api.dependencies import Db
from backend.store.accounts import audit
from vise_client.schemas.accounts import (
    AuditEntry,
)
from vise_client.schemas.wire import Page

router = APIRouter(tags=["accounts"])


@router.get("/audit", response_model=Page[AuditEntry], dependencies=[needs.admin])
def read_audit(
    db: Db,
    kind: Annotated[
        str | None, Query(max_length=32, description=f"{', '.join(audit.KINDS.values())}.")
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
