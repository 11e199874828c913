"""What the store refuses, and why."""

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
