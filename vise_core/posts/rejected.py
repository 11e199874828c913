"""The error that rejects a post."""

from __future__ import annotations

from vise_core.errors import BadInput


class RejectedPost(BadInput):
    """A post that cannot be used. ``reason`` is a stable slug to count by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[RejectedPost], tuple[str, str]]:
        # As an exception is pickled, it would be made again of its message alone.
        return RejectedPost, (self.reason, str(self))
