"""The header ``Idempotency-Key``: a request that is sent again with its key creates nothing twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session

from backend.store.accounts import request_keys

from .dependencies import Db, Who

HEADER = "Idempotency-Key"


@dataclass(frozen=True)
class CreateOnce:
    """Creates what a request asks for, unless the same request with the same key has created it before."""

    db: Session
    user_id: UUID
    path: str
    key: UUID | None

    def __call__(self, body: BaseModel, create: Callable[[], UUID]) -> UUID:
        """Return the id of what ``create`` creates now, or has created for the first request."""
        if self.key is None:
            return create()
        digest = hashlib.sha256(f"{self.path}\n{body.model_dump_json()}".encode()).hexdigest()
        return request_keys.once(self.db, self.user_id, self.key, digest, create)


def get_create_once(
    request: Request,
    db: Db,
    who: Who,
    key: Annotated[
        UUID | None,
        Header(
            alias=HEADER,
            description="A new UUID with each new request; sent again with its key, a request creates nothing twice.",
        ),
    ] = None,
) -> CreateOnce:
    """Return the creator for a request."""
    return CreateOnce(db, who.user_id, request.url.path, key)


Once = Annotated[CreateOnce, Depends(get_create_once)]
