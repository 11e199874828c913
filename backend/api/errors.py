"""Errors as RFC 9457 problem details (``application/problem+json``)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from backend.store.errors import Conflict, Invalid, NotAllowed, NotFound, TooMany, in_words, status_of
from backend.store.registry.storage import StorageError
from backend.store.registry.storage_away import StorageAway, away
from vise_client.schemas.wire import Problem
from vise_core.errors import BadInput

from .documented import allowed_methods
from .monitor import Monitor

log = logging.getLogger("vise.api")


class ApiProblem(Exception):
    """An error that becomes a problem response with this status, title, detail and headers."""

    def __init__(
        self, status: int, title: str, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers


def problem_response(
    request: Request,
    status: int,
    title: str,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return a problem response; a 401 also names the scheme ``Bearer``."""
    problem = Problem(
        title=title, status=status, detail=detail, instance=request.url.path, errors=errors or []
    )
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"} | (headers or {})
    return JSONResponse(problem.model_dump(), status, headers=headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Add the handlers of all exceptions that a route may raise."""

    @app.exception_handler(ApiProblem)
    def _problem(request: Request, error: ApiProblem) -> JSONResponse:
        return problem_response(request, error.status, error.title, error.detail, headers=error.headers)

    @app.exception_handler(NotFound)
    def _not_found(request: Request, error: NotFound) -> JSONResponse:
        return problem_response(request, 404, "Not found", str(error))

    @app.exception_handler(NotAllowed)
    def _not_allowed(request: Request, error: NotAllowed) -> JSONResponse:
        return problem_response(request, 403, "Not allowed", str(error))

    @app.exception_handler(TooMany)
    def _too_many(request: Request, error: TooMany) -> JSONResponse:
        headers = {"Retry-After": str(error.seconds)}
        return problem_response(request, 429, "Too many requests", str(error), headers=headers)

    @app.exception_handler(Conflict)
    def _conflict(request: Request, error: Conflict) -> JSONResponse:
        return problem_response(request, 409, "Not possible now", str(error))

    @app.exception_handler(Invalid)
    def _invalid(request: Request, error: Invalid) -> JSONResponse:
        errors = [{"field": error.field, "message": error.message}]
        return problem_response(request, 422, "Invalid request", str(error), errors)

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {
                # The first part of the location says body, query or path; the field is enough for users.
                "field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]),
                "message": str(item["msg"]).removeprefix("Value error, "),
            }
            for item in error.errors()
        ]
        detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors[:5])
        return problem_response(request, 422, "Invalid request", detail, errors)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, OSError):
            # FastAPI reports whatever fails while it receives a form, which it writes to a file, as a bad request.
            return _system(request, error.__cause__)
        title, headers = HTTPStatus(error.status_code).phrase, dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette names the methods of the first matching route only.
            headers["Allow"] = ", ".join(allowed_methods(request.app, request.url.path))
        return problem_response(request, error.status_code, title, str(error.detail), headers=headers)

    @app.exception_handler(StorageAway)
    def _storage_away(request: Request, error: StorageAway) -> JSONResponse:
        log.error("storage: %s", error)
        detail = "the storage is full" if error.full else "the storage does not respond"
        return problem_response(
            request,
            503,
            "Unavailable",
            f"{detail}; try again in a moment",
            headers={"Retry-After": "5"},
        )

    @app.exception_handler(OSError)
    def _system(request: Request, error: OSError) -> JSONResponse:
        passes = away(error)
        if passes is None:
            return _unexpected(request, error)
        log.error("the server's own disk: %s", error)
        detail = (
            "the disk of the server is full" if passes.full else "the disk of the server does not respond"
        )
        return problem_response(
            request, 503, "Unavailable", f"{detail}; try again later", headers={"Retry-After": "60"}
        )

    @app.exception_handler(StorageError)
    def _storage(request: Request, error: StorageError) -> JSONResponse:
        return problem_response(request, 410, "Gone", str(error))

    @app.exception_handler(BadInput)
    @app.exception_handler(UnicodeEncodeError)
    def _unusable(request: Request, error: Exception) -> JSONResponse:
        detail = in_words(error) if isinstance(error, UnicodeEncodeError) else str(error)
        return problem_response(request, 422, "Invalid request", detail)

    @app.exception_handler(StatementError)
    def _statement(request: Request, error: StatementError) -> JSONResponse:
        status = status_of(error)
        if status == 422:
            return problem_response(request, 422, "Invalid request", in_words(error))
        if status == 409:
            detail = (
                "the request contradicts what is stored, or what another request is storing; read it again"
            )
            return problem_response(request, 409, "Not possible now", detail)
        if status == 503:
            return _unavailable(request, error)
        monitor: Monitor | None = getattr(request.app.state, "monitor", None)
        schema = monitor.schema_problem() if monitor is not None else None
        if schema is not None:
            log.error("the database's tables do not fit: %s", schema)
            return problem_response(request, 503, "Unavailable", schema, headers={"Retry-After": "60"})
        return _unexpected(request, error)

    @app.exception_handler(PoolTimeout)
    @app.exception_handler(TimeoutError)
    def _unavailable(request: Request, error: Exception) -> JSONResponse:
        log.error("the database does not respond: %s", in_words(error))
        detail = "the database does not respond; try again in a moment"
        return problem_response(request, 503, "Unavailable", detail, headers={"Retry-After": "5"})

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.exception("unexpected error at %s", request.url.path, exc_info=error)
        return problem_response(
            request, 500, "Internal error", "unexpected; the server's log has the traceback"
        )
