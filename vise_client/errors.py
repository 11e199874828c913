"""Errors of the client, one tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # pydantic: a slow import that `vise --help` can do without.
    from .schemas.wire import Problem


class ClientError(Exception):
    """Base of the client's errors."""


class MissingExtra(ClientError):
    """A command needs an optional part of the package that is not installed."""


class Unreachable(ClientError):
    """No server responds at the address, or the connection broke off."""


class NoResponse(Unreachable):
    """The connection broke off after a request was sent: the server may have done what it asks for."""


class ApiError(ClientError):
    """The server responded with an error; ``problem`` is its RFC 9457 problem document."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status


class NotSignedIn(ApiError):
    """The token is missing, wrong or expired (status 401)."""
