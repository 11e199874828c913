"""Typed clients of the REST API, sync and async, with the same methods.

with ViseClient("http://127.0.0.1:8000", token) as vise:
    run = vise.create_recipe(RecipeCreate(recipe="sample"))
    vise.wait_for(run.id)

async with AsyncViseClient("http://127.0.0.1:8000", token) as vise:
    run = await vise.create_recipe(RecipeCreate(recipe="sample"))
    await vise.wait_for(run.id)
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import httpx

from vise_core.files.whole import whole_file

from .errors import ClientError
from .operation import Id
from .operations import Operations
from .schemas.wire import Page
from .sender import AsyncSender, SyncSender

P = ParamSpec("P")
T = TypeVar("T")


class ViseClient(Operations, SyncSender):
    """A client for blocking code. Raises ApiError with the server's problem, or Unreachable without a server."""

    def iterate(self, pages: Callable[P, Page[T]], *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        """Yield the items of all pages of a list: ``vise.iterate(vise.runs, stage="pretrain")``."""
        following: dict[str, Any] = {}
        while True:
            page = pages(*args, **kwargs | following)  # type: ignore[arg-type]
            yield from page.items
            if page.next_cursor is None:
                return
            following = {"cursor": page.next_cursor}

    def artifact_head(self, artifact_id: Id, limit: int, file: str | None = None) -> bytes:
        """Return the first ``limit`` bytes of an artifact, or of a file of a folder, without reading the rest."""
        head = b""
        with self.stream(Operations.artifact_content.request(artifact_id, file)) as response:
            for chunk in response.iter_bytes():
                head += chunk
                if len(head) >= limit:
                    break
        return head[:limit]

    def download(self, artifact_id: Id, target: Path, file: str | None = None) -> None:
        """Write an artifact, or one file of a folder, to ``target``; a whole folder comes as a tar.

        Raises ClientError where a file's SHA-256 is wrong; ``target`` then stays as it was.
        """
        with (
            self.stream(Operations.artifact_content.request(artifact_id, file)) as response,
            _Download(target, response) as part,
        ):
            for chunk in response.iter_bytes():
                part.write(chunk)


class AsyncViseClient(Operations, AsyncSender):
    """A client for asyncio. Raises ApiError with the server's problem, or Unreachable without a server."""

    async def iterate(
        self, pages: Callable[P, Awaitable[Page[T]]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[T]:
        """Yield the items of all pages of a list: ``vise.iterate(vise.runs, stage="pretrain")``."""
        following: dict[str, Any] = {}
        while True:
            page = await pages(*args, **kwargs | following)  # type: ignore[arg-type]
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            following = {"cursor": page.next_cursor}

    async def artifact_head(self, artifact_id: Id, limit: int, file: str | None = None) -> bytes:
        """Return the first ``limit`` bytes of an artifact, or of a file of a folder, without reading the rest."""
        head = b""
        async with self.stream(Operations.artifact_content.request(artifact_id, file)) as response:
            async for chunk in response.aiter_bytes():
                head += chunk
                if len(head) >= limit:
                    break
        return head[:limit]

    async def download(self, artifact_id: Id, target: Path, file: str | None = None) -> None:
        """Write an artifact, or one file of a folder, to ``target``; a whole folder comes as a tar.

        Raises ClientError where a file's SHA-256 is wrong; ``target`` then stays as it was.
        """
        async with self.stream(Operations.artifact_content.request(artifact_id, file)) as response:
            with _Download(target, response) as part:
                async for chunk in response.aiter_bytes():
                    part.write(chunk)


class _Download:
    """A file that is renamed to its target once complete and its SHA-256 matches the response's ETag."""

    def __init__(self, target: Path, response: httpx.Response) -> None:
        self._target = target
        self._writing = ExitStack()
        self._digest = hashlib.sha256()
        is_tar = response.headers.get("content-type", "").startswith("application/x-tar")
        self._expected = None if is_tar else response.headers.get("etag", "").strip('"')

    def __enter__(self) -> Self:
        part = self._writing.enter_context(whole_file(self._target))
        self._file = self._writing.enter_context(part.open("wb"))
        return self

    def write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._file.write(chunk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._writing:
            if error is not None:
                raise error
            if self._expected not in (None, self._digest.hexdigest()):
                raise ClientError(f"the download of {self._target} is damaged; try again")
