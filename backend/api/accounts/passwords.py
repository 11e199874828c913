"""Checks of passwords: one function for the sign-in and for requests that need the password again."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy.orm import Session

from backend.settings import Settings
from backend.store.accounts import attempts, users
from backend.store.accounts.tables import User
from vise_client.addresses import client_address, trusted_networks


def check_password(request: Request, db: Session, email: str, password: str) -> User | None:
    """Return the user if the password is right, else None. Raises TooMany after too many failures."""
    # In another transaction: an error response rolls back ``db``.
    with request.app.state.sessions.begin() as counting:
        attempt = attempts.begin(counting, email, _address(request))
    user = users.verify_password(db, email, password)
    if user is not None:
        attempts.succeed(db, attempt)
    return user


def _address(request: Request) -> str:
    """Return the address of the user, which only trusted proxies may name."""
    settings: Settings = request.app.state.settings
    peer = request.client.host if request.client else ""
    forwarded_for = request.headers.getlist("x-forwarded-for")
    # Names are looked up only where there is something to trust them for.
    trusted = trusted_networks(settings.trusted_proxies) if forwarded_for else []
    return client_address(peer, forwarded_for, trusted)
