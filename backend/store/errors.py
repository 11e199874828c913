"""Errors of the store, which the API turns into problem documents."""

from __future__ import annotations

from uuid import UUID

import psycopg
from pydantic import ValidationError
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from vise_core.errors import BadInput, ViseError


class NotFound(ViseError):
    """There is no row with this id or name."""


class Conflict(ViseError):
    """The row is in a state in which the request cannot be done."""


class NotAllowed(ViseError):
    """The user may not do this to this row; ``str`` says who may."""


class TooMany(ViseError):
    """Too many requests; the next one may come after ``seconds``."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(f"{message}; wait {seconds} s, then try again")
        self.seconds = seconds


class StaleToken(ViseError):
    """A worker wrote with the fencing token of a lease that it has lost. The write was refused."""

    @classmethod
    def of(cls, run_id: UUID, token: int) -> StaleToken:
        """Return the error for this run and this token."""
        return cls(f"run {run_id} is no longer held with token {token}")


class Invalid(BadInput):
    """A request that fits the schema but cannot be done; ``field`` is the dotted path of the wrong field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


TRANSIENT = ("08", "40", "53", "55P03", "57", "58", "25006", "25P03")
"""Beginnings of SQLSTATEs of failures that pass: connection, deadlock, resources, lock timeout, shutdown or cancelled
statement, system, read-only standby, idle transaction."""


def is_transient(error: BaseException) -> bool:
    """Return whether the same transaction may succeed later: the database is away, overloaded or was too slow.

    False for an error that would come again each time, such as a value that is too long for an index.
    """
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        # The connection itself failed: the server did not get as far as a state.
        return error.connection_invalidated or isinstance(error.orig, psycopg.OperationalError)
    return state.startswith(TRANSIENT)


def status_of(error: StatementError) -> int:
    """Return the HTTP status of a failed statement by its kind; 500 for an error of ours.

    422 for a value that cannot be stored, 409 for a row that contradicts others, 503 for a failure that passes.
    """
    if is_transient(error):
        return 503
    cause, state = error.orig, str(getattr(error.orig, "sqlstate", None) or "")
    # Bind parameters that cannot be converted have no state: half characters, integers of 100 digits.
    if (
        isinstance(error, DataError)
        or isinstance(cause, ValueError | OverflowError)
        or state.startswith("54")
    ):
        return 422
    if isinstance(error, IntegrityError):
        # Unique, foreign key and exclusion; otherwise null or a check, of one row alone.
        return 409 if state in ("23001", "23503", "23505", "23P01") else 422
    return 503 if isinstance(error, OperationalError | InterfaceError) else 500


def in_words(error: Exception) -> str:
    """Return an exception's type and message for people: of a failed statement the database's words, not the SQL."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    lines = str(cause).splitlines()
    if isinstance(error, DataError) or isinstance(cause, UnicodeError):
        return f"a value cannot be stored: {lines[0] if lines else type(cause).__name__}"
    message = "\n".join(lines[:1] if cause is not error else lines)
    return f"{type(cause).__name__}: {message}"


def invalid_from(error: ValidationError, prefix: str) -> Invalid:
    """Return the first problem of a spec as an Invalid whose field is the dotted path below ``prefix``."""
    first = error.errors()[0]
    path = ".".join([prefix, *(str(part) for part in first["loc"])])
    return Invalid(path, str(first["msg"]).removeprefix("Value error, "))
