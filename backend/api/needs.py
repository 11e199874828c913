"""What each route needs of its caller. Every route declares exactly one of these; a route without one is refused.

@router.post("/runs", dependencies=[needs.run])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from backend.store.accounts.users import Identity
from vise_client.schemas.accounts import ROLE_SCOPES, Role, Scope

from .dependencies import Who
from .errors import ApiProblem


@dataclass(frozen=True)
class Need:
    """Dependency that passes tokens with one of these scopes and, with ``session``, sessions of any role.

    A token has no more scopes than the role of its user allows. Raises ApiProblem (403).
    """

    name: str
    scopes: frozenset[Scope] = frozenset()
    session: bool = False

    def allows(self, who: Identity) -> bool:
        """Return whether this caller is passed."""
        return bool(self.scopes & who.scopes) or (self.session and who.kind == "session")

    def __call__(self, who: Who) -> None:
        if not self.allows(who):
            raise ApiProblem(403, "Not allowed", self._reason(who))

    def _reason(self, who: Identity) -> str:
        if not self.scopes:
            return "this needs a session, not an API token; sign in with a password or a link"
        scopes = " or ".join(scope for scope in Scope if scope in self.scopes)
        if self.scopes.isdisjoint(ROLE_SCOPES[who.role]):
            role = next(role for role in Role if self.scopes.intersection(ROLE_SCOPES[role]))
            return f"this needs the role {role}; yours is {who.role}"
        return f"this needs a token with the scope {scopes}; create one on the page Settings"


async def anyone() -> None:
    """Dependency of the routes that need no token.

    Asynchronous, so that ``/live`` and ``/health`` never wait for a free thread behind requests that hang.
    """


public = Depends(anyone)
signed_in = Depends(Need("any token", frozenset(Scope), session=True))
session = Depends(Need("session", session=True))
PERSONAL = Need("session or run", frozenset({Scope.run}), session=True)
RUN = Need("run", frozenset({Scope.run}))
PREDICT = Need("predict", frozenset({Scope.predict}))
personal = Depends(PERSONAL)
read = Depends(Need("read", frozenset({Scope.read})))
read_or_predict = Depends(Need("read or predict", frozenset({Scope.read, Scope.predict})))
run = Depends(RUN)
predict = Depends(PREDICT)
admin = Depends(Need("admin", frozenset({Scope.admin})))


class Undeclared(Exception):
    """A route declares no need, or several."""


@dataclass(frozen=True)
class RouteNeed:
    """A route and what it needs; ``need`` is None for a public one."""

    method: str
    path: str
    need: Need | None


def table(prefix: str, routers: Iterable[APIRouter]) -> list[RouteNeed]:
    """Return what every route of these routers needs. Raises Undeclared if a route declares none, or several."""
    return [entry for router in routers for entry in _needs(prefix, router)]


def _needs(prefix: str, router: APIRouter) -> Iterator[RouteNeed]:
    for route in router.routes:
        calls = [dependency.dependency for dependency in getattr(route, "dependencies", ())]
        declared = [call for call in calls if isinstance(call, Need) or call is anyone]
        if not isinstance(route, APIRoute) or len(declared) != 1:
            raise Undeclared(f"{route} must declare what it needs, once: dependencies=[needs.…]")
        need = declared[0] if isinstance(declared[0], Need) else None
        for method in sorted(route.methods or ()):
            yield RouteNeed(method, prefix + route.path, need)
