"""Users and tokens. Passwords are kept as argon2 hashes, tokens as SHA-256: what is stored opens nothing."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.store.accounts.tables import Token, User
from backend.store.errors import NotFound
from backend.store.rows import get_row, unique
from vise_client.schemas.accounts import ROLE_SCOPES, Role, Scope

TokenKind = Literal["session", "api", "login-code"]
RANK = {Role.viewer: 0, Role.editor: 1, Role.admin: 2}
FRESH = timedelta(minutes=15)
"""Age of a session in which the first password may be set."""
_HASHER = PasswordHasher()


@dataclass(frozen=True)
class Identity:
    """The user behind a token: id, address, and the role and kind of the token."""

    user_id: UUID
    email: str
    role: Role
    token_id: UUID
    kind: str
    scopes: frozenset[Scope]
    expires_at: datetime | None

    @property
    def is_admin(self) -> bool:
        """Whether the request may do what admins may: the user is one, and the token has the scope."""
        return Scope.admin in self.scopes


def create_user(db: Session, email: str, password: str | None, role: Role) -> User:
    """Create a user. Without a password, only a one-time code signs in. Raises Conflict if the address is taken."""
    user = User(
        email=email.strip().lower(),
        password_hash=_HASHER.hash(password) if password else None,
        role=role.value,
        active=True,
    )
    with unique(db, f"a user {email}"):
        db.add(user)
    return user


def get_user(db: Session, user_id: UUID) -> User:
    """Return a user. Raises NotFound if no user has this id."""
    return get_row(db, User, user_id, "user")


def find_user(db: Session, email: str) -> User | None:
    """Return the user with this address, in any case and without spaces around it; None if there is none."""
    return db.scalar(select(User).where(User.email == email.strip().lower()))


def list_users(db: Session, *, search: str = "", offset: int = 0, limit: int = 1000) -> list[User]:
    """Return users by address; ``search`` matches part of it."""
    statement = select(User).order_by(User.email).offset(offset).limit(limit)
    if search:
        statement = statement.where(User.email.icontains(search, autoescape=True))
    return list(db.scalars(statement))


def set_password(db: Session, user: User, password: str, *, keep: UUID | None = None) -> None:
    """Set the password of a user, and end all sessions and sign-in links of the user but the session ``keep``."""
    user.password_hash = _HASHER.hash(password)
    ended = (Token.user_id == user.id, Token.kind.in_(("session", "login-code")))
    db.execute(delete(Token).where(*ended, Token.id.is_distinct_from(keep)))


def may_set_first_password(db: Session, session_id: UUID) -> bool:
    """Return whether a session may give its user a password where there is none yet.

    Only one that was begun a short time ago by a link that the server printed: with a password, who has stolen a
    session would keep access for ever, also by a link made in that session.
    """
    since = func.now() - FRESH
    fresh = (Token.id == session_id, Token.created_at > since, Token.session_ends_at.is_(None))
    return db.scalar(select(Token.id).where(*fresh)) is not None


def verify_password(db: Session, email: str, password: str) -> User | None:
    """Return the active user with this address and password, or None.

    Takes as long for an unknown address as for a wrong password.
    """
    user = find_user(db, email)
    stored = user.password_hash if user and user.password_hash and user.active else _dummy_hash()
    try:
        _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return None
    return user if user and user.password_hash and user.active else None


def issue_token(
    db: Session,
    user: User,
    kind: TokenKind,
    *,
    lifetime: timedelta | None,
    role: Role | None = None,
    scopes: Iterable[Scope] | None = None,
    name: str = "",
    no_later_than: datetime | None = None,
    session_ends_at: datetime | None = None,
) -> tuple[str, Token]:
    """Create a token; return (its secret, which is not stored, and its row).

    Its role is at most the user's own, its scopes those of the role. It expires after ``lifetime``, or at
    ``no_later_than`` where that is earlier.
    """
    role = min(role or Role(user.role), Role(user.role), key=RANK.__getitem__)
    allowed = [scope for scope in ROLE_SCOPES[role] if scopes is None or scope in set(scopes)]
    expiries = [datetime.now(UTC) + lifetime if lifetime else None, no_later_than]
    secret = f"vise_{secrets.token_urlsafe(32)}"
    token = Token(
        user_id=user.id,
        kind=kind,
        name=name,
        role=role.value,
        scopes=[scope.value for scope in allowed],
        sha256=_digest(secret),
        expires_at=min((expiry for expiry in expiries if expiry is not None), default=None),
        session_ends_at=session_ends_at,
    )
    db.add(token)
    db.flush()
    return secret, token


# Columns, not objects, and built once: every request runs this query.
_IDENTITY = (
    select(
        Token.id,
        Token.kind,
        Token.role,
        Token.scopes,
        Token.expires_at,
        Token.last_used_at,
        User.id.label("user_id"),
        User.email,
        User.role.label("user_role"),
    )
    .join(User, User.id == Token.user_id)
    .where(
        Token.sha256 == bindparam("digest"),
        Token.kind != "login-code",
        User.active,
        or_(Token.expires_at.is_(None), Token.expires_at > func.now()),
    )
)


def find_identity(db: Session, secret: str) -> Identity | None:
    """Return the identity behind a token; None if it is unknown, expired, a login code, or of a deactivated user."""
    row = db.execute(_IDENTITY, {"digest": _digest(secret)}).one_or_none()
    if row is None:
        return None
    # Once a minute is exact enough, and keeps reads from being writes.
    if row.last_used_at is None or row.last_used_at < datetime.now(UTC) - timedelta(minutes=1):
        db.execute(update(Token).where(Token.id == row.id).values(last_used_at=func.now()))
    role = min(Role(row.role), Role(row.user_role), key=RANK.__getitem__)
    scopes = frozenset(ROLE_SCOPES[role]).intersection(row.scopes)
    return Identity(row.user_id, row.email, role, row.id, row.kind, scopes, row.expires_at)


@dataclass(frozen=True)
class LoginCode:
    """A one-time login code that was used up: whom it signs in, and what it limits the session to."""

    user: User
    role: Role
    session_ends_at: datetime | None


def redeem_code(db: Session, secret: str) -> LoginCode | None:
    """Delete a one-time login code and return what it opens; None if it is unknown, expired or used.

    Of two requests with the same code, one gets None.
    """
    code = db.execute(
        delete(Token)
        .where(Token.sha256 == _digest(secret), Token.kind == "login-code", Token.expires_at > func.now())
        .returning(Token.user_id, Token.role, Token.session_ends_at)
    ).one_or_none()
    user = db.get(User, code.user_id) if code else None
    if code is None or user is None or not user.active:
        return None
    return LoginCode(user, Role(code.role), code.session_ends_at)


def list_tokens(db: Session, user_id: UUID) -> list[Token]:
    """Return the API tokens of a user, newest first, at most 1,000."""
    statement = select(Token).where(Token.user_id == user_id, Token.kind == "api").order_by(Token.id.desc())
    return list(db.scalars(statement.limit(1000)))


def revoke_token(db: Session, token_id: UUID, user_id: UUID) -> None:
    """Delete a token of a user. Raises NotFound if the user has no token of this id."""
    token = db.get(Token, token_id)
    if token is None or token.user_id != user_id:
        raise NotFound(f"you have no token {token_id}")
    db.delete(token)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _dummy_hash() -> str:
    return _HASHER.hash(secrets.token_hex())
