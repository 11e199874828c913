"""Users, sessions, API tokens and the audit log."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from .wire import Request, Wire


class Role(StrEnum):
    """Who may do what: viewer reads, editor launches and predicts, admin manages users and data."""

    viewer = "viewer"
    editor = "editor"
    admin = "admin"


class UserView(Wire):
    id: UUID
    email: str
    role: Role
    active: bool
    created_at: datetime


class UserCreate(Request):
    email: str = Field(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=12, max_length=1024)
    role: Role = Role.viewer


class UserUpdate(Request):
    role: Role | None = None
    active: bool | None = None


class Login(Request):
    email: str
    password: str = Field(max_length=1024)


class LoginCode(Request):
    """The one-time code of the link that ``vise up`` prints."""

    code: str = Field(max_length=200)


class PasswordChange(Request):
    current: str = Field("", max_length=1024, description="Empty where there is no password yet.")
    new: str = Field(min_length=12, max_length=1024)


class AuditEntry(Wire):
    """One change, as it was noticed when it was made."""

    id: UUID
    at: datetime
    email: str
    action: str = Field(description="created, changed, deleted, cancelled, retried, signed in, …")
    kind: str
    target_id: UUID | None
    target: str
    detail: dict[str, Any]


class Session(Wire):
    """A bearer token for a browser session or a script; shown once."""

    token: str
    expires_at: datetime | None
    user: UserView


class TokenCreate(Request):
    name: str = Field(min_length=1, max_length=80)
    role: Role | None = Field(None, description="At most the owner's own role; null: the owner's.")
    expires_days: int | None = Field(None, ge=1, le=3650)


class TokenView(Wire):
    id: UUID
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class TokenCreated(TokenView):
    token: str = Field(description="Shown once; only its hash is kept.")
