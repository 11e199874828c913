"""Uploaded images: what can be said of them without decoding, and waiting for the worker that decodes them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from fastapi import Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from backend.api.errors import ApiProblem
from backend.store.database import Sessions
from backend.store.serving.tables import Engagement, Prediction
from vise_client.schemas.engagement import EngagementView
from vise_client.schemas.predictions import PredictionView
from vise_core.specs.posts.images import IMAGE_KINDS, image_kind

Answer = TypeVar("Answer", PredictionView, EngagementView)

LOOK_SECONDS = 3.0
"""Between two looks at the row of a question: the answer is told by a notification, which may be lost."""


_READ = f"{', '.join(IMAGE_KINDS[:-1])} or {IMAGE_KINDS[-1]}"


async def read_image(image: UploadFile, most: int) -> bytes:
    """The upload, refused where it cannot be one; the rest is the prediction worker's, under its limits."""
    data = await image.read(most + 1)
    if not data:
        raise ApiProblem(400, "Empty upload", "the field image is empty; choose a file")
    if len(data) > most:
        raise ApiProblem(
            413, "Too large", f"the image is larger than {most // 2**20} MiB; send a smaller one"
        )
    head = data[:512].lstrip()
    if head.startswith((b"<svg", b"<?xml", b"<!DOCTYPE", b"<html")):
        raise ApiProblem(415, "Not an image", f"SVG and HTML are not pictures here; send {_READ}")
    kind = image_kind(data)
    if kind is None:
        raise ApiProblem(415, "Not an image", f"send {_READ}")
    if kind not in IMAGE_KINDS:
        raise ApiProblem(415, "Not an image that is read", f"{kind} is not read; send {_READ}")
    return data


async def ask_worker(
    request: Request,
    response: Response,
    wait: float,
    *,
    create: Callable[[Session], Prediction | Engagement],
    state: Callable[[Session, UUID], str | None],
    view: Callable[[Session, UUID], Answer],
    refusal: str,
    announce: Callable[[UUID], None] | None = None,
) -> Answer:
    """Queue a question about an upload and wait for its answer, at most ``wait`` seconds.

    ``announce`` is told what was committed as queued; without, ``create`` has left that to the outbox. Where it takes
    longer, the response is a 202 with the Location of what was queued. Raises ApiProblem (422), titled ``refusal``,
    where the worker could not use the image.
    """
    sessions: Sessions = request.app.state.sessions
    reading: Sessions = request.app.state.reading

    def queue() -> tuple[UUID, str]:
        with sessions.begin() as db:
            row = create(db)
            return row.id, row.state

    def look() -> str | None:
        with reading() as db:
            return state(db, asked)

    def read() -> Answer:
        with reading() as db:
            return view(db, asked)

    asked: UUID
    asked, now = await run_in_threadpool(queue)
    if now == "queued":
        with request.app.state.answered.awaited(asked) as answered:
            # Only now, so that no answer is told before somebody waits for it.
            if announce is not None:
                await run_in_threadpool(announce, asked)
            await _answered(answered, look, wait)
    found = await run_in_threadpool(read)
    if found.state == "failed":
        raise ApiProblem(422, refusal, found.error or "the image could not be used")
    if found.state == "queued":
        response.status_code = 202
        response.headers["Location"] = f"{request.url.path}/{asked}"
        response.headers["Retry-After"] = "1"
    return found


async def _answered(answered: asyncio.Event, state: Callable[[], str | None], wait: float) -> None:
    """Wait for the event, without holding a thread or a connection meanwhile."""
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(answered.wait(), min(LOOK_SECONDS, left))
            return
        if await run_in_threadpool(state) != "queued":
            return
