"""API operations, declared once for the sync and the async client: a method's signature is the request.

    class RunOperations:
        @get("/runs/{run_id}/logs")
        def logs(self, run_id: Id, *, after: int = 0) -> list[LogLine]:
            "Return log lines of a run, oldest first."

``ViseClient(...).logs(run_id)`` returns the lines, ``AsyncViseClient(...).logs(run_id)`` a coroutine of them. The
declared method has no body. A parameter that the path names goes into the path, ``body`` is sent as JSON, ``content`` as the
raw body, and all others as the query or, with ``form=True``, as multipart form fields.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import cached_property, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeAlias, TypeVar, get_type_hints, overload
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
from pydantic import TypeAdapter

from .errors import ApiError, NoResponse
from .schemas.wire import Problem
from .sender import AsyncSender, Pause, Request, Steps, SyncSender

P = ParamSpec("P")
T = TypeVar("T")
Declaration: TypeAlias = Callable[Concatenate[Any, P], T]

Id: TypeAlias = UUID | str
"""An identifier: a UUID, or a string that holds one."""

LONGEST_WAIT = 20.0  # seconds that one request may wait on the server; below the timeouts of common proxies
POLL_SECONDS = 0.5
RETRY_PAUSES = (0.5, 2.0, 5.0)
"""Seconds before each further try of a request that creates something."""


class Conversation(Generic[P, T]):
    """A client method of one or more requests, bound as a function or, by an async client, as a coroutine function."""

    def __init__(self, declaration: Callable[..., Any]) -> None:
        update_wrapper(self, declaration)  # type: ignore[arg-type]
        self.declaration = declaration
        signature = inspect.signature(declaration)
        self.signature = signature.replace(parameters=list(signature.parameters.values())[1:])

    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        """Yield the requests of one call; return its result."""
        steps: Steps[T] = self.declaration(None, *args, **kwargs)
        return steps

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: SyncSender, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: SyncSender | AsyncSender | None, owner: type) -> Any:
        if client is None:
            return self
        method = self._async_method(client) if isinstance(client, AsyncSender) else self._method(client)
        update_wrapper(method, self.declaration)
        method.__signature__ = self.signature  # type: ignore[union-attr]
        return method

    def _method(self, client: SyncSender) -> Callable[P, T]:
        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.follow(self.steps(*args, **kwargs))

        return method

    def _async_method(self, client: AsyncSender) -> Callable[P, Coroutine[Any, Any, T]]:
        async def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return await client.follow(self.steps(*args, **kwargs))

        return method


class Operation(Conversation[P, T]):
    """A client method for one operation of the API.

    The response's JSON is parsed into the declared return type; ``bytes`` returns the raw content.
    """

    def __init__(
        self, declaration: Declaration[P, T], method: str, path: str, *, form: bool, raise_for_status: bool
    ) -> None:
        super().__init__(declaration)
        self.method, self.path = method, path
        self.form, self.raise_for_status = form, raise_for_status

    def request(self, *args: P.args, **kwargs: P.kwargs) -> Request:
        """Return the request of a call. Raises TypeError for arguments that do not match the signature."""
        return self._request(self.signature.bind(*args, **kwargs).arguments)

    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        response = yield self.request(*args, **kwargs)
        return self.result(response)

    def result(self, response: httpx.Response) -> T:
        """Parse a response. Raises pydantic.ValidationError if it is not of the declared return type."""
        content: Any = response.content
        if self._returns is bytes:
            result: T = content
            return result
        return self._adapter.validate_json(content or b"null")

    @cached_property
    def _returns(self) -> Any:
        return get_type_hints(self.declaration)["return"]

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._returns)

    def _request(self, arguments: dict[str, Any]) -> Request:
        # Empty arguments are not sent, so that the server's defaults apply.
        values = {name: value for name, value in arguments.items() if value not in (None, "", [], ())}
        in_path = {name: quote(str(values.pop(name)), safe="") for name in self._path_names if name in values}
        parts: dict[str, Any] = {name: values.pop(name, None) for name in ("body", "content")}
        if self.form:
            parts["files"] = {
                name: values.pop(name) for name, value in arguments.items() if type(value) is bytes
            }
            parts["form"] = {name: str(value) for name, value in values.items()}
        else:
            parts["params"] = {name: _query_value(value) for name, value in values.items()}
        return Request(
            self.method, self.path.format(**in_path), **parts, raise_for_status=self.raise_for_status
        )

    @cached_property
    def _path_names(self) -> list[str]:
        return [name for name in self.signature.parameters if f"{{{name}}}" in self.path]


class CreatingOperation(Operation[P, T]):
    """An operation that creates something once: sent again with the same key while the server does not respond."""

    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        request = replace(self.request(*args, **kwargs), key=uuid4())
        for pause in RETRY_PAUSES:
            try:
                response = yield request
            except NoResponse:
                pass
            except ApiError as error:
                if error.status != 503:
                    raise
            else:
                return self.result(response)
            yield Pause(pause)
        response = yield request
        return self.result(response)


class PolledOperation(Operation[P, T]):
    """An operation whose result a worker computes: polls ``{path}/{id}`` while its state is queued, for ``wait`` seconds.

    Raises ApiError (422) where the computation failed.
    """

    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        deadline = time.monotonic() + arguments["wait"]
        response = yield self._request(arguments | {"wait": min(arguments["wait"], LONGEST_WAIT)})
        view: Any = self.result(response)
        while view.state == "queued" and time.monotonic() < deadline:
            yield Pause(POLL_SECONDS)
            view = self.result((yield Request("GET", f"{self.path}/{view.id}")))
        if view.state == "failed":
            raise ApiError(Problem(title="Prediction failed", status=422, detail=view.error or ""))
        result: T = view
        return result


def conversation(declaration: Callable[Concatenate[Any, P], Steps[T]]) -> Conversation[P, T]:
    """Declare a method of several requests: a generator of Requests and Pauses, which returns the result."""
    return Conversation(declaration)


def operation(
    method: str, path: str, *, form: bool = False, raise_for_status: bool = True
) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare an operation with this HTTP method and path."""

    def declare(declaration: Declaration[P, T]) -> Operation[P, T]:
        return Operation(declaration, method, path, form=form, raise_for_status=raise_for_status)

    return declare


def get(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a GET operation."""
    return operation("GET", path)


def post(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a POST operation."""
    return operation("POST", path)


def create(path: str) -> Callable[[Declaration[P, T]], CreatingOperation[P, T]]:
    """Declare a POST operation that creates something, and takes an Idempotency-Key."""

    def declare(declaration: Declaration[P, T]) -> CreatingOperation[P, T]:
        return CreatingOperation(declaration, "POST", path, form=False, raise_for_status=True)

    return declare


def put(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a PUT operation."""
    return operation("PUT", path)


def patch(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a PATCH operation."""
    return operation("PATCH", path)


def delete(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a DELETE operation."""
    return operation("DELETE", path)


def polled(path: str) -> Callable[[Declaration[P, T]], PolledOperation[P, T]]:
    """Declare an operation that uploads an image and polls for its result; it has a parameter ``wait``."""

    def declare(declaration: Declaration[P, T]) -> PolledOperation[P, T]:
        return PolledOperation(declaration, "POST", path, form=True, raise_for_status=True)

    return declare


def _query_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
