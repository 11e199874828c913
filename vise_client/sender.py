"""Send requests to the API: one sender for blocking code and one for asyncio, with the same errors."""

from __future__ import annotations

import asyncio
from asyncio import sleep as sleep_async
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeAlias, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel

from .errors import ApiError, ClientError, NoResponse, NotSignedIn, Unreachable
from .schemas.wire import Problem

T = TypeVar("T")
CHUNK = 2**20  # bytes of an upload that are read at a time
# Connecting again is always safe: nothing was sent yet.
CONNECT_RETRIES = 2
KEEP_SECONDS = 2.0
"""Idle connections are used again for so long. Servers close theirs later (uvicorn after 5 s): a request that is sent on
a connection just as the server closes it fails."""
PATIENCE = 90.0
"""Seconds that a request waits in all when the server asks for fewer requests; the limits count by the minute."""
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEP_SECONDS)


@dataclass(frozen=True)
class Request:
    """One HTTP request to the API; ``path`` is below ``/api/v1``."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: BaseModel | None = None
    form: Mapping[str, str] | None = None
    files: Mapping[str, bytes] | None = None
    content: BinaryIO | None = None
    raise_for_status: bool = True
    key: UUID | None = None
    """Of a request that creates something: sent again with its key, it creates nothing twice."""

    def options(self) -> dict[str, Any]:
        """Return keyword arguments for ``httpx.Client.stream``, without the streamed content."""
        headers = {} if self.key is None else {"Idempotency-Key": str(self.key)}
        options: dict[str, Any] = {"params": self.params, "headers": headers}
        if self.body is not None:
            options["content"] = self.body.model_dump_json()
            headers["Content-Type"] = "application/json"
        if self.form is not None:
            options["data"] = self.form
        if self.files is not None:
            options["files"] = {
                name: (name, content, "application/octet-stream") for name, content in self.files.items()
            }
        return options


@dataclass(frozen=True)
class Pause:
    """Time to wait before the next request, in seconds."""

    seconds: float


Steps: TypeAlias = Generator[Request | Pause, httpx.Response, T]
"""A conversation with the API, free of I/O: yields requests, is sent their responses, and returns a result.

The error of a request is raised where it was yielded.
"""


class SyncSender:
    """Sends requests with ``httpx.Client``. Raises ApiError for an error of the server, Unreachable without one.

    A request that the server answers with 429 is sent again after the time that its ``Retry-After`` names, for at most
    ``patience`` seconds in all; attempts to sign in are not, as someone waits for the answer.
    ``forwarded_for`` is the address of the user on whose behalf a proxy sends the requests; a server believes it only
    from proxies that it trusts.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 60,
        forwarded_for: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.url, self.patience = url.rstrip("/"), patience
        transport = httpx.HTTPTransport(retries=CONNECT_RETRIES, limits=_LIMITS)
        self._http = httpx.Client(
            **_settings(self.url, token, forwarded_for), timeout=timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def follow(self, steps: Steps[T]) -> T:
        """Send the requests of a conversation and return its result."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    sleep(step.seconds)
                    step = next(steps)
                    continue
                try:
                    with self.stream(step) as response:
                        response.read()
                except ClientError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as done:
            result: T = done.value
            return result

    @contextmanager
    def stream(self, request: Request) -> Iterator[httpx.Response]:
        """Open the response to a request, to be read piece by piece.

        Raises ApiError for an error status, and Unreachable if no response comes or it breaks off.
        """
        options = request.options()
        repeats, opened = _Repeats(request, self.patience), False
        try:
            while True:
                if request.content is not None:
                    options["content"] = _chunks(request.content)
                with self._http.stream(request.method, request.path, **options) as response:
                    opened = True
                    pause = repeats.pause(response)
                    if pause is None:
                        if request.raise_for_status and response.is_error:
                            response.read()
                            raise api_error(response)
                        yield response
                        return
                sleep(pause)
                opened = False
                repeats.rewind()
        except httpx.TransportError as error:
            raise _unreachable(self.url, error, opened=opened) from error


class AsyncSender:
    """Sends requests with ``httpx.AsyncClient``; errors as those of ``SyncSender``."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 60,
        forwarded_for: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.url, self.patience = url.rstrip("/"), patience
        transport = httpx.AsyncHTTPTransport(retries=CONNECT_RETRIES, limits=_LIMITS)
        self._http = httpx.AsyncClient(
            **_settings(self.url, token, forwarded_for), timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def follow(self, steps: Steps[T]) -> T:
        """Send the requests of a conversation and return its result."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await sleep_async(step.seconds)
                    step = next(steps)
                    continue
                try:
                    async with self.stream(step) as response:
                        await response.aread()
                except ClientError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as done:
            result: T = done.value
            return result

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[httpx.Response]:
        """Open the response to a request, to be read piece by piece.

        Raises ApiError for an error status, and Unreachable if no response comes or it breaks off.
        """
        options = request.options()
        repeats, opened = _Repeats(request, self.patience), False
        try:
            while True:
                if request.content is not None:
                    options["content"] = _async_chunks(request.content)
                async with self._http.stream(request.method, request.path, **options) as response:
                    opened = True
                    pause = repeats.pause(response)
                    if pause is None:
                        if request.raise_for_status and response.is_error:
                            await response.aread()
                            raise api_error(response)
                        yield response
                        return
                await sleep_async(pause)
                opened = False
                repeats.rewind()
        except httpx.TransportError as error:
            raise _unreachable(self.url, error, opened=opened) from error


class _Repeats:
    """When a request is sent again."""

    def __init__(self, request: Request, patience: float) -> None:
        content = request.content
        self._content = content
        self._start = content.tell() if content is not None and content.seekable() else 0
        self._able = not request.path.startswith("/auth/") and (content is None or content.seekable())
        self._ends_at = monotonic() + patience

    def pause(self, response: httpx.Response) -> float | None:
        """Return the seconds after which to send the request again; None if this is the response to return."""
        after = response.headers.get("retry-after", "")
        if response.status_code != 429 or not after.isdecimal() or not self._able:
            return None
        seconds = float(after)
        return seconds if monotonic() + seconds <= self._ends_at else None

    def rewind(self) -> None:
        """Have the content read again from where it began."""
        if self._content is not None:
            self._content.seek(self._start)


def api_error(response: httpx.Response) -> ApiError:
    """Return the error of a response whose body has been read; NotSignedIn for status 401."""
    problem = Problem(title=response.reason_phrase, status=response.status_code, detail=response.text[:500])
    with suppress(ValueError):
        problem = Problem.model_validate_json(response.content)
    return NotSignedIn(problem) if problem.status == 401 else ApiError(problem)


def _settings(url: str, token: str | None, forwarded_for: str | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if forwarded_for:
        headers["X-Forwarded-For"] = forwarded_for
    return {"base_url": f"{url}/api/v1", "headers": headers}


def _unreachable(url: str, error: httpx.TransportError, *, opened: bool) -> Unreachable:
    if opened:
        return Unreachable(f"the download from {url} broke off: {error}")
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return NoResponse(f"the server at {url} sent no response: {error or type(error).__name__}")
    return Unreachable(f"no server responds at {url}: start it with `vise up` ({error})")


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: content.read(CHUNK), b"")


async def _async_chunks(content: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(content.read, CHUNK):
        yield chunk
