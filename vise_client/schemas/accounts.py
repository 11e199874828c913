"""Users, sessions, API tokens and the audit log."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from .wire import RequestBody, ResponseBody, UpdateBody


class Role(StrEnum):
    """What a user may do: viewers read, editors launch and predict, admins manage users and data."""

    viewer = "viewer"
    editor = "editor"
    admin = "admin"


class Scope(StrEnum):
    """What a token may do; see ``SCOPES``."""

    read = "read"
    run = "run"
    predict = "predict"
    admin = "admin"


SCOPES: dict[Scope, str] = {
    Scope.read: "read runs, results, data sets and models",
    Scope.run: "launch, change and delete runs, models and reports",
    Scope.predict: "request predictions and give feedback",
    Scope.admin: "manage users and data sets, remove posts, and read the audit log",
}
"""Scope → what it allows."""

ROLE_SCOPES: dict[Role, tuple[Scope, ...]] = {
    Role.viewer: (Scope.read,),
    Role.editor: (Scope.read, Scope.run, Scope.predict),
    Role.admin: tuple(Scope),
}
"""Role of a user → the scopes that the user's tokens may have."""


class Owned(StrEnum):
    """Kind of a thing that its owner and admins change. ``label``: the label of a prediction, by the prediction's id."""

    run = "run"
    model = "model"
    ablation = "ablation"
    prediction = "prediction"
    label = "label"
    view = "view"


class UserView(ResponseBody):
    """A user."""

    id: UUID
    email: str
    role: Role
    active: bool
    created_at: datetime


class UserCreate(RequestBody):
    """A new user."""

    email: str = Field(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=12, max_length=1024)
    role: Role = Role.viewer


class UserUpdate(UpdateBody):
    """Changes of a user; null leaves a field as it is."""

    role: Role | None = None
    active: bool | None = None


class Login(RequestBody):
    """E-mail address and password of a user."""

    email: str = Field(max_length=254)
    password: str = Field(max_length=1024)


class LoginCode(RequestBody):
    """The one-time code of a sign-in link."""

    code: str = Field(max_length=200)


class LoginLink(ResponseBody):
    """A link that signs a browser in, once."""

    link: str
    expires_at: datetime


class PasswordChange(RequestBody):
    """The current and the new password of the user."""

    current: str = Field("", max_length=1024, description="Empty where there is no password yet.")
    new: str = Field(min_length=12, max_length=1024)


class AuditEntry(ResponseBody):
    """One change by a user, recorded together with the change."""

    id: UUID
    at: datetime
    email: str
    action: str = Field(description="created, changed, deleted, cancelled, retried, signed in, …")
    kind: str
    target_id: UUID | None
    target: str
    detail: dict[str, Any]


class Session(ResponseBody):
    """A session and its bearer token, which is shown once."""

    token: str
    expires_at: datetime | None
    user: UserView


class TokenCreate(RequestBody):
    """A new API token."""

    name: str = Field(min_length=1, max_length=80)
    role: Role | None = Field(None, description="At most the owner's own role; null: the owner's.")
    scopes: list[Scope] | None = Field(
        None, min_length=1, max_length=len(Scope), description="At most those of the role; null: all of them."
    )
    expires_days: int | None = Field(
        None, ge=1, le=3650, description="Null: as long as the session that creates the token."
    )
    password: str | None = Field(
        None,
        max_length=1024,
        repr=False,
        description="The user's password, for a token that lives longer than the session.",
    )


class TokenView(ResponseBody):
    """An API token, without its secret."""

    id: UUID
    name: str
    role: Role
    scopes: list[Scope] = Field(default_factory=list)
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class TokenCreated(TokenView):
    """A new API token with its secret."""

    token: str = Field(description="Shown once; only its hash is kept.")
