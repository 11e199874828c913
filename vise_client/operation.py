"""API operations, declared once for the sync and the async client: a method's signature is the request.

    class RunOperations:
        @get("/runs/{run_id}/logs")
        def logs(self, run_id: Id, *, after: int = 0) -> list[LogLine]:
            "Return log lines of a run, oldest first."

``ViseClient(...).logs(run_id)`` returns the lines; ``AsyncViseClient(...).logs(run_id)`` is awaited for them. The method
has no body of its own. A parameter that the path names goes into the path, ``body`` is sent as JSON, ``content`` as the
raw body, and all others as the query or, with ``form=True``, as multipart form fields.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import cached_property, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeAlias, TypeVar, get_type_hints, overload
from urllib.parse import quote
from uuid import UUID

import httpx
from pydantic import TypeAdapter

from .errors import ApiError
from .schemas.wire import Problem
from .sender import AsyncSender, Pause, Request, Steps, SyncSender

P = ParamSpec("P")
T = TypeVar("T")
Declaration: TypeAlias = Callable[Concatenate[Any, P], T]

Id: TypeAlias = UUID | str
"""An identifier: a UUID, or a string that holds one."""

LONGEST_WAIT = 20.0  # seconds that one request may wait on the server; below every proxy's patience
POLL_SECONDS = 0.5


class Conversation(Generic[P, T]):
    """A client method made of one or more requests. It is bound as a function or as a coroutine function, by its client."""

    def __init__(self, declaration: Callable[..., Any]) -> None:
        update_wrapper(self, declaration)  # type: ignore[arg-type]
        self.declaration = declaration
        whole = inspect.signature(declaration)
        self.signature = whole.replace(parameters=list(whole.parameters.values())[1:])

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
    """A client method that is one operation of the API.

    The declared return type is what the response's JSON is parsed into; ``bytes`` is the content as it stands.
    """

    def __init__(
        self, declaration: Declaration[P, T], method: str, path: str, *, form: bool, raise_for_status: bool
    ) -> None:
        super().__init__(declaration)
        self.method, self.path = method, path
        self.form, self.raise_for_status = form, raise_for_status

    def request(self, *args: P.args, **kwargs: P.kwargs) -> Request:
        """The request of a call with these arguments. Raises TypeError as a call of the method does."""
        return self._request(self.signature.bind(*args, **kwargs).arguments)

    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        response = yield self.request(*args, **kwargs)
        return self.result(response)

    def result(self, response: httpx.Response) -> T:
        """What a response holds. Raises pydantic.ValidationError where it is not of the declared type."""
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
        # What is not given is not sent: the server's default holds.
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


class AnsweredLater(Operation[P, T]):
    """An operation whose answer a worker computes: polls ``{path}/{id}`` while its state is queued, for ``wait`` seconds.

    Raises ApiError (422) where the answer has failed.
    """

    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        deadline = time.monotonic() + arguments["wait"]
        response = yield self._request(arguments | {"wait": min(arguments["wait"], LONGEST_WAIT)})
        answer: Any = self.result(response)
        while answer.state == "queued" and time.monotonic() < deadline:
            yield Pause(POLL_SECONDS)
            answer = self.result((yield Request("GET", f"{self.path}/{answer.id}")))
        if answer.state == "failed":
            raise ApiError(Problem(title="No answer", status=422, detail=answer.error or "no answer"))
        result: T = answer
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


def put(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a PUT operation."""
    return operation("PUT", path)


def patch(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a PATCH operation."""
    return operation("PATCH", path)


def delete(path: str) -> Callable[[Declaration[P, T]], Operation[P, T]]:
    """Declare a DELETE operation."""
    return operation("DELETE", path)


def answered_later(path: str) -> Callable[[Declaration[P, T]], AnsweredLater[P, T]]:
    """Declare an operation that uploads an image for a worker's answer; it has a parameter ``wait``."""

    def declare(declaration: Declaration[P, T]) -> AnsweredLater[P, T]:
        return AnsweredLater(declaration, "POST", path, form=True, raise_for_status=True)

    return declare


def _query_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
