"""What can go wrong when talking to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Hundreds of models: `vise --help` waits for none of them.
    from .schemas.wire import Problem


class ClientError(Exception):
    """Base of the client's errors."""


class Unreachable(ClientError):
    """No server answers at the address."""


class ApiError(ClientError):
    """The server answered with a problem; ``problem`` has all of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem

    @property
    def status(self) -> int:
        return self.problem.status


class NotSignedIn(ApiError):
    """The token is missing, wrong or too old."""
