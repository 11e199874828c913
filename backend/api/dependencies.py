"""Dependencies of the routes: a database transaction, the identity of the caller, the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from backend.settings import Settings
from backend.store.accounts import audit, users
from backend.store.accounts.users import Identity
from backend.store.registry.storage import Storage
from backend.store.registry.storage_away import StorageAway
from backend.store.runs.create import Allowance

from .errors import ApiProblem
from .monitor import Monitor

_bearer = HTTPBearer(auto_error=False, description="A session or API token.")


def get_settings(request: Request) -> Settings:
    """Return the settings of the API."""
    return request.app.state.settings  # type: ignore[no-any-return]


async def get_storage(request: Request) -> Storage:
    """Return the storage. Raises StorageAway at once while it hangs: each call would keep a thread for long.

    Asynchronous, so that it needs no thread itself.
    """
    monitor: Monitor = request.app.state.monitor
    if monitor.storage_hangs():
        raise StorageAway("the storage does not respond", full=False)
    return request.app.state.storage  # type: ignore[no-any-return]


def get_db(request: Request) -> Iterator[Session]:
    """Yield one transaction per request, committed with its audit entries on return, rolled back on an error."""
    with request.app.state.sessions.begin() as db:
        yield db
        audit.write(db, getattr(request.state, "who", None))


def get_reading(request: Request) -> Iterator[Session]:
    """Yield a session for a route that only reads. Call ``db.close()`` before long work such as drawing.

    It gives the connection back: an idle transaction is ended by the server, and a kept connection is missing elsewhere.
    """
    with request.app.state.sessions() as db:
        yield db


# scope="function": the transaction is committed before the response is sent.
Db = Annotated[Session, Depends(get_db, scope="function")]
ReadDb = Annotated[Session, Depends(get_reading, scope="function")]
Config = Annotated[Settings, Depends(get_settings)]
Store = Annotated[Storage, Depends(get_storage)]
Offset = Annotated[int, Query(ge=0, le=100_000)]
"""Items of a list that are left out before its first."""
Limit = Annotated[int, Query(ge=1, le=1000)]
"""Items of a list in one response at most."""


def identify(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    """Return the identity behind the token of a request. Raises ApiProblem (401) without a valid token.

    What a route needs beyond a valid token it declares with one of ``needs``.
    """
    identity = None
    if credentials:
        # Not the session of the route: a route that waits must not hold a connection meanwhile.
        with request.app.state.reading() as db:
            identity = users.find_identity(db, credentials.credentials)
    if identity is None:
        raise ApiProblem(401, "Not signed in", "send a valid token: Authorization: Bearer …")
    request.state.who = identity
    return identity


Who = Annotated[Identity, Depends(identify)]


def get_allowance(who: Who, settings: Config) -> Allowance:
    """Return what the caller may launch."""
    return Allowance(admin=who.is_admin, children=settings.max_children, open_runs=settings.max_open_runs)


Launch = Annotated[Allowance, Depends(get_allowance)]
