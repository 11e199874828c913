"""Routes for signing in and out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from backend.api import needs
from backend.api.dependencies import Config, Db, Who
from backend.api.documented import problems
from backend.api.errors import ApiProblem
from backend.store.accounts import users
from backend.store.accounts.tables import User
from backend.store.errors import Invalid
from vise_client.schemas.accounts import (
    Login,
    LoginCode,
    LoginLink,
    PasswordChange,
    Role,
    Session,
    UserView,
)

from .passwords import check_password

SESSION = timedelta(days=14)
LINK = timedelta(minutes=10)
FIRST_PASSWORD = (
    f"your first password can be set within {users.FRESH.seconds // 60} minutes of a sign-in by the link that `vise up` "
    "prints at its start, not by one that a session made; start it again, or run `vise admin password` on the server"
)

public = APIRouter(prefix="/auth", tags=["accounts"])
router = APIRouter(tags=["accounts"])


@public.post("/login", response_model=Session, dependencies=[needs.public], responses=problems(401, 429))
def login(request: Request, body: Login, db: Db) -> Session:
    """Exchange an address and a password for a session token.

    Status 401 if the address or the password is wrong, 429 with ``Retry-After`` for an attempt that follows too many
    failures too soon.
    """
    user = check_password(request, db, body.email, body.password)
    if user is None:
        raise ApiProblem(401, "Not signed in", "the address or the password is wrong")
    return _session(db, user)


@public.post("/code", response_model=Session, dependencies=[needs.public], responses=problems(401))
def redeem(body: LoginCode, db: Db) -> Session:
    """Exchange the one-time code of a sign-in link for a session token; a code expires after a few minutes.

    Status 401 for a code that was used already or has expired.
    """
    code = users.redeem_code(db, body.code)
    if code is None:
        raise ApiProblem(401, "Not signed in", "this link was already used or has expired; request a new one")
    return _session(db, code.user, role=code.role, ends_at=code.session_ends_at)


@router.get("/auth/me", response_model=UserView, dependencies=[needs.signed_in])
def me(who: Who, db: Db) -> UserView:
    """Return the user who is signed in, with the role of the token."""
    user = UserView.model_validate(users.get_user(db, who.user_id))
    return user.model_copy(update={"role": who.role})


@router.post("/auth/link", response_model=LoginLink, status_code=201, dependencies=[needs.session])
def create_login_link(who: Who, db: Db, settings: Config) -> LoginLink:
    """Create a link that signs a browser in, once, within ten minutes. Its session ends no later than yours.

    Status 403 for an API token.
    """
    code, token = users.issue_token(
        db,
        users.get_user(db, who.user_id),
        "login-code",
        lifetime=LINK,
        role=who.role,
        no_later_than=who.expires_at,
        session_ends_at=who.expires_at,
    )
    address = settings.public_url.rstrip("/")
    return LoginLink(
        link=f"{address}/auth/login?code={code}", expires_at=token.expires_at or datetime.now(UTC) + LINK
    )


@router.post("/auth/logout", status_code=204, dependencies=[needs.signed_in])
def logout(who: Who, db: Db) -> Response:
    """Revoke the token of this request."""
    users.revoke_token(db, who.token_id, who.user_id)
    return Response(status_code=204)


@router.post("/auth/password", status_code=204, dependencies=[needs.session])
def change_password(request: Request, body: PasswordChange, who: Who, db: Db) -> Response:
    """Change your password. Your other sessions end; API tokens stay valid.

    The first password is set in a session that a link of the server has just begun. Status 403 in another one and for an
    API token, 422 if ``current`` is not the password, 429 as for the sign-in.
    """
    user = users.get_user(db, who.user_id)
    if user.password_hash is None:
        if not users.may_set_first_password(db, who.token_id):
            raise ApiProblem(403, "Not allowed", FIRST_PASSWORD)
    elif check_password(request, db, user.email, body.current) is None:
        raise Invalid("current", "is not your password")
    users.set_password(db, user, body.new, keep=who.token_id)
    return Response(status_code=204)


def _session(db: Db, user: User, *, role: Role | None = None, ends_at: datetime | None = None) -> Session:
    secret, token = users.issue_token(
        db, user, "session", lifetime=SESSION, role=role, no_later_than=ends_at, session_ends_at=ends_at
    )
    return Session(token=secret, expires_at=token.expires_at, user=UserView.model_validate(user))
