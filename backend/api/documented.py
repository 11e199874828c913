"""Statuses in the OpenAPI document, and 405 with ``Allow`` where a path has no such method."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, compile_path

from vise_client.schemas.wire import Problem

CHANGING = ("post", "put", "patch", "delete")
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def document_statuses(app: FastAPI) -> None:
    """Let the OpenAPI document name every status that an operation sends, with problem details for all errors."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = make()
            document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            for path, item in document["paths"].items():
                for method, operation in item.items():
                    _add_problems(path, method, operation)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.state.methods = dict(_methods(app.routes))


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that raises errors with these statuses."""
    return {status: {"description": HTTPStatus(status).phrase, "content": PROBLEM} for status in statuses}


def _add_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status, response in problems(*_general(path, method, operation)).items():
        if "HTTPValidationError" in str(responses.get(str(status), "HTTPValidationError")):
            responses[str(status)] = response


def _general(path: str, method: str, operation: dict[str, Any]) -> Iterator[int]:
    """Yield the statuses of errors that no route raises itself: of the check of a request, a token, the database."""
    # 400 is also the server's own for a request that it cannot parse, such as one with a head of 100 kB.
    yield from (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
    if "security" in operation:
        yield from (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    if "{" in path:
        yield HTTPStatus.NOT_FOUND
    if method in CHANGING:
        # A body may name what is not there, too.
        yield from (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
        yield from (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.TOO_MANY_REQUESTS,
        )


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods of a fixed path, else those of all routes that match the path."""
    methods: dict[str, set[str]] = app.state.methods
    if path in methods:
        return sorted(methods[path])
    fitting = (found for template, found in methods.items() if re.match(compile_path(template)[0], path))
    return sorted(set().union(*fitting))


async def check_method(request: Request) -> None:
    """Raise HTTPException (405) for a fixed path such as ``/runs/groups`` that was matched as another route's id."""
    methods: dict[str, set[str]] = request.app.state.methods
    if request.method not in methods.get(request.url.path, {request.method}):
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


def _methods(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield (path template, methods)."""
    found: dict[str, set[str]] = {}
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            included: Any = route
            for template, inner in _methods(router.routes, prefix + included.include_context.prefix):
                found.setdefault(template, set()).update(inner)
        else:
            own: set[str] = getattr(route, "methods", None) or set()
            found.setdefault(prefix + getattr(route, "path", ""), set()).update(own)
    yield from found.items()
