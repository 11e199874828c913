"""Operations on sessions, users, API tokens and the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ..operation import Id, delete, get, patch, post
from ..schemas.accounts import (
    AuditEntry,
    Login,
    LoginCode,
    LoginLink,
    Owned,
    PasswordChange,
    Session,
    TokenCreate,
    TokenCreated,
    TokenView,
    UserCreate,
    UserUpdate,
    UserView,
)
from ..schemas.derived import Derived
from ..schemas.wire import Page


class AccountOperations:
    """Sign in, and manage users and API tokens."""

    @post("/auth/login")
    def login(self, body: Login) -> Session:
        """Sign in with an e-mail address and a password; use the session's token for a new client."""

    @post("/auth/code")
    def redeem_code(self, body: LoginCode) -> Session:
        """Sign in with the one-time code of a sign-in link."""

    @post("/auth/link")
    def create_login_link(self) -> LoginLink:
        """Create a link that signs a browser in as this session's user, once, within ten minutes."""

    @post("/auth/logout")
    def logout(self) -> None:
        """End this client's session: its token is no longer accepted."""

    @get("/auth/me")
    def me(self) -> UserView:
        """Return the user whose token this client has."""

    @post("/auth/password")
    def change_password(self, body: PasswordChange) -> None:
        """Set a new password. Ends every other session of the user; API tokens stay."""

    @get("/tokens")
    def tokens(self) -> list[TokenView]:
        """Return the user's API tokens, without their secrets."""

    @post("/tokens")
    def create_token(self, body: TokenCreate) -> TokenCreated:
        """Create an API token. This is the only response that holds its secret."""

    @delete("/tokens/{token_id}")
    def revoke_token(self, token_id: Id) -> None:
        """Delete an API token: it is no longer accepted."""

    @get("/users")
    def users(self, *, search: str = "", offset: int = 0, limit: int = 1000) -> list[UserView]:
        """Return users, by e-mail address. ``search`` is a part of the address."""

    @post("/users")
    def create_user(self, body: UserCreate) -> UserView:
        """Create a user."""

    @patch("/users/{user_id}")
    def update_user(self, user_id: Id, body: UserUpdate) -> UserView:
        """Change a user's role, or deactivate the user."""

    @get("/users/{user_id}/derived")
    def user_derived(self, user_id: Id, *, offset: int = 0, limit: int = 100) -> Derived:
        """Return what a user has made, and what becomes of each when the user is deleted."""

    @delete("/users/{user_id}")
    def delete_user(self, user_id: Id) -> None:
        """Delete a user with tokens, saved views, predictions and feedback; runs, models and data sets stay."""

    @get("/changeable")
    def changeable(self, kind: Owned, id: Sequence[Id]) -> list[UUID]:
        """Return which of at most 200 things of a kind this user may change or delete."""

    @get("/audit")
    def audit(
        self,
        *,
        kind: str | None = None,
        who: str | None = None,
        search: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: Id | None = None,
        limit: int = 50,
    ) -> Page[AuditEntry]:
        """Return one page of the audit log, newest first.

        Args:
            kind: what was changed: run, model, data set, upload, user, token, ablation or removal of posts.
            who: a part of the e-mail address of the user who made the change.
            search: a part of the name of what was changed, or its id.
        """
