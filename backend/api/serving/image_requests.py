"""Requests with an image: the checks that need no decoding, and the wait for the worker that predicts."""

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
from backend.store.registry.storage import Storage
from backend.store.serving import uploads
from backend.store.serving.tables import Engagement, Prediction
from vise_client.schemas.engagement import EngagementView
from vise_client.schemas.predictions import PredictionView
from vise_core.specs.posts.images import HEAD_BYTES, IMAGE_KINDS, image_kind

View = TypeVar("View", PredictionView, EngagementView)

POLL_SECONDS = 3.0
"""Time between two reads of a queued row: a notification that it is finished may be lost."""
FORMATS = f"{', '.join(IMAGE_KINDS[:-1])} or {IMAGE_KINDS[-1]}"


async def read_image(image: UploadFile, max_bytes: int) -> bytes:
    """Return the bytes of an uploaded image. Raises ApiProblem (400, 413, 415) if it cannot be one.

    Only size and header are checked here; the prediction worker decodes it, under its own limits.
    """
    data = await image.read(max_bytes + 1)
    if not data:
        raise ApiProblem(400, "Empty upload", "the field image is empty; choose a file")
    if len(data) > max_bytes:
        raise ApiProblem(
            413, "Too large", f"the image is larger than {max_bytes // 2**20} MiB; send a smaller one"
        )
    head = data[:512].lstrip()
    if head.startswith((b"<svg", b"<?xml", b"<!DOCTYPE", b"<html")):
        raise ApiProblem(415, "Not an image", f"SVG and HTML files are not accepted; send {FORMATS}")
    kind = image_kind(data[:HEAD_BYTES])
    if kind is None:
        raise ApiProblem(415, "Not an image", f"send {FORMATS}")
    if kind not in IMAGE_KINDS:
        raise ApiProblem(415, "Image format not supported", f"{kind} is not supported; send {FORMATS}")
    return data


async def queue_and_wait(
    request: Request,
    response: Response,
    wait: float,
    *,
    image: bytes,
    storage: Storage,
    check: Callable[[Session], Prediction | Engagement | None],
    create: Callable[[Session, str], Prediction | Engagement],
    state: Callable[[Session, UUID], str | None],
    view: Callable[[Session, UUID], View],
    failure: str,
    publish: Callable[[UUID], None] | None = None,
) -> View:
    """Create the row of a prediction and wait at most ``wait`` seconds for a worker to finish it.

    ``check`` raises what is wrong with the request, or returns a row that needs no upload. Otherwise ``create`` makes one
    with the key of the upload, which is written between the two transactions: a storage that hangs holds no connection.
    ``publish`` sends the committed id to the broker; without it, ``create`` has left that to the outbox. If the worker
    takes longer, the response is 202 with the Location of the row. Raises ApiProblem (422), titled ``failure``, if the
    worker could not use the image.
    """
    sessions: Sessions = request.app.state.sessions
    reading: Sessions = request.app.state.reading

    def create_row() -> tuple[UUID, str]:
        with sessions.begin() as db:
            row = check(db)
            if row is not None:
                return row.id, row.state
        upload = uploads.put(storage, image)
        with sessions.begin() as db:
            row = create(db, upload)
            return row.id, row.state

    def read_state() -> str | None:
        with reading() as db:
            return state(db, row_id)

    def read_view() -> View:
        with reading() as db:
            return view(db, row_id)

    row_id: UUID
    row_id, row_state = await run_in_threadpool(create_row)
    if row_state == "queued":
        with request.app.state.listener.wait_for(row_id) as finished:
            # Published only now, so that no notification comes before the listener waits for it.
            if publish is not None:
                await run_in_threadpool(publish, row_id)
            await _wait(finished, read_state, wait)
    result = await run_in_threadpool(read_view)
    if result.state == "failed":
        raise ApiProblem(422, failure, result.error or "the image could not be used")
    if result.state == "queued":
        response.status_code = 202
        response.headers["Location"] = f"{request.url.path}/{row_id}"
        response.headers["Retry-After"] = "1"
    return result


async def _wait(finished: asyncio.Event, read_state: Callable[[], str | None], wait: float) -> None:
    """Wait for the event, without holding a thread or a connection; poll the row as well."""
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(finished.wait(), min(POLL_SECONDS, left))
            return
        if await run_in_threadpool(read_state) != "queued":
            return
