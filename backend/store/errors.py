"""What the store refuses, and why."""

from sqlalchemy.exc import DataError, StatementError

from vise_core.errors import BadInput, ViseError


class NotFound(ViseError):
    """There is no such thing."""


class Conflict(ViseError):
    """The thing is not in a state in which that can be done."""


class StaleToken(ViseError):
    """A worker wrote for a run that was given to another since. The write was refused."""


class Invalid(BadInput):
    """A request that fits the schema but cannot be done. ``field`` is where, as a dotted path."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


def in_words(error: Exception) -> str:
    """An exception's type and message for people: of a failed statement what the database says, never its SQL."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    lines = str(cause).splitlines()
    if isinstance(error, DataError) or isinstance(cause, UnicodeError):
        return f"a value cannot be stored: {lines[0] if lines else type(cause).__name__}"
    message = "\n".join(lines[:1] if cause is not error else lines)
    return f"{type(cause).__name__}: {message}"
