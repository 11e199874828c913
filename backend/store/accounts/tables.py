"""Tables of accounts: users, their tokens, failed logins, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.orm import Mapped, mapped_column

from backend.store.base import Base, Record, insert_time, primary_key

DELETED_USER = "deleted user"
"""What the audit log says in the place of a deleted user's address."""


class User(Record):
    """A user, with address, password hash and role."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None] = mapped_column(comment="argon2; null: no password login")
    role: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool] = mapped_column(server_default=text("true"))

    __table_args__ = (CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role"),)


class Token(Record):
    """A bearer token or a one-time login code; only its SHA-256 is kept."""

    __tablename__ = "tokens"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(server_default="")
    role: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    sha256: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    session_ends_at: Mapped[datetime | None] = mapped_column(
        comment="of a login code: its session ends no later than the one that made the code"
    )

    __table_args__ = (
        CheckConstraint("kind IN ('session', 'api', 'login-code')", name="kind"),
        CheckConstraint("scopes <@ ARRAY['read', 'run', 'predict', 'admin']", name="scopes"),
    )


class LoginAttempt(Base):
    """Attempts to sign in: failures of the last minutes, and where each user last succeeded."""

    __tablename__ = "login_attempts"

    id: Mapped[UUID] = primary_key()
    email: Mapped[str]
    address: Mapped[str]
    at: Mapped[datetime] = insert_time()
    succeeded: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (Index(None, "email", "at"), Index(None, "address", "at"), Index(None, "at"))


class RequestKey(Base):
    """The key of a request that has created a run: when it is sent again, no other run is created."""

    __tablename__ = "request_keys"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(comment="SHA-256 of its path and body")
    run_id: Mapped[UUID | None] = mapped_column(comment="what it has created")
    created_at: Mapped[datetime] = insert_time()


class Audit(Base):
    """An entry of the audit log, written in the transaction of the change."""

    __tablename__ = "audit"

    id: Mapped[UUID] = primary_key()
    at: Mapped[datetime] = insert_time()
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    email: Mapped[str] = mapped_column(server_default="", comment="as it was then")
    action: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    target_id: Mapped[UUID | None]
    target: Mapped[str] = mapped_column(server_default="", comment="its name, as it was then")
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, server_default=text("'{}'"))

    __table_args__ = (Index(None, "kind", "id"), Index(None, "email", "id"), Index(None, "target_id"))
