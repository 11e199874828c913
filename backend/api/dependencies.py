"""What routes ask for: a session of the database, who is asking, the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from backend.settings import Settings
from backend.store.accounts import audit, users
from backend.store.accounts.users import RANK, Identity
from backend.store.registry.storage import Storage
from vise_client.schemas.accounts import Role

from .errors import ApiProblem

_bearer = HTTPBearer(auto_error=False, description="A session or API token.")


def get_settings(request: Request) -> Settings:
    return request.app.state.settings  # type: ignore[no-any-return]


def get_storage(request: Request) -> Storage:
    return request.app.state.storage  # type: ignore[no-any-return]


def get_db(request: Request) -> Iterator[Session]:
    """One transaction a request, with its lines of the audit log: committed when the route returns, rolled back
    when it raises."""
    with request.app.state.sessions.begin() as db:
        yield db
        audit.write(db, getattr(request.state, "who", None))


# scope="function": the transaction is over before the answer is sent, so that what it says is true.
Db = Annotated[Session, Depends(get_db, scope="function")]
Config = Annotated[Settings, Depends(get_settings)]
Store = Annotated[Storage, Depends(get_storage)]


def identify(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    """Who is asking. Every router but the public one depends on this: a new route is closed until opened."""
    found = None
    if credentials:
        # A session of its own: a route that waits must not hold a connection meanwhile.
        with request.app.state.reading() as db:
            found = users.find_identity(db, credentials.credentials)
    if found is None:
        raise ApiProblem(401, "Not signed in", "give a valid token: Authorization: Bearer …")
    request.state.who = found
    return found


Who = Annotated[Identity, Depends(identify)]


class Requires:
    """A dependency that lets only this role, or a higher one, pass."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, who: Who) -> Identity:
        if RANK[who.role] < RANK[self.role]:
            raise ApiProblem(403, "Not allowed", f"this needs the role {self.role}; yours is {who.role}")
        return who


editor = Depends(Requires(Role.editor))
admin = Depends(Requires(Role.admin))
