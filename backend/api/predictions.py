"""Ask a model about an image."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool

from backend.store import predictions
from backend.store.database import Sessions
from vise_client.schemas import PredictionView
from vise_core.specs.explain import CamMethod, PredictOptions

from .dependencies import Config, Db, Who, editor
from .errors import ApiProblem

router = APIRouter(prefix="/predictions", tags=["predictions"])

FIRST_LOOK, LONGEST_PAUSE = 0.02, 0.25


@router.post(
    "", response_model=PredictionView, dependencies=[editor], responses={202: {"model": PredictionView}}
)
async def predict(
    request: Request,
    response: Response,
    settings: Config,
    who: Who,
    image: UploadFile,
    model_id: Annotated[UUID | None, Form(description="Without: the default model.")] = None,
    method: Annotated[CamMethod, Form()] = "cam",
    target_class: Annotated[str | None, Form(max_length=200)] = None,
    strength: Annotated[float, Form(ge=0, le=1)] = 0.5,
    wait: Annotated[float, Form(ge=0, le=30, description="Seconds to wait for the answer.")] = 10,
) -> PredictionView:
    """Probabilities and the class activation overlay; 202 with a Location where it takes longer than ``wait``."""
    data = await image.read(settings.max_upload_bytes + 1)
    _check_upload(data, settings.max_upload_bytes)
    options = PredictOptions(method=method, target_class=target_class or None, strength=strength)
    sessions: Sessions = request.app.state.sessions

    def create() -> UUID:
        with sessions.begin() as db:
            return predictions.create(db, data, model_id, options, who.user_id).id

    prediction_id = await run_in_threadpool(create)
    await _answered(sessions, prediction_id, wait)

    def read() -> PredictionView:
        with sessions() as db:
            return predictions.view(db, prediction_id)

    view = await run_in_threadpool(read)
    if view.state == "failed":
        raise ApiProblem(422, "No prediction", view.error or "the image could not be used")
    if view.state == "queued":
        response.status_code = 202
        response.headers["Location"] = f"{request.url.path}/{prediction_id}"
        response.headers["Retry-After"] = "1"
    return view


@router.get("/{prediction_id}", response_model=PredictionView)
def read_prediction(prediction_id: UUID, db: Db) -> PredictionView:
    return predictions.view(db, prediction_id)


def _check_upload(data: bytes, most: int) -> None:
    """What can be said without decoding; the rest is the prediction worker's, under its limits."""
    if not data:
        raise ApiProblem(400, "Empty upload", "the field image is empty; choose a file")
    if len(data) > most:
        raise ApiProblem(
            413, "Too large", f"the image is larger than {most // 2**20} MiB; send a smaller one"
        )
    head = data[:512].lstrip()
    if head.startswith((b"<svg", b"<?xml", b"<!DOCTYPE", b"<html")):
        raise ApiProblem(
            415, "Not an image", "SVG and HTML are not pictures here; send JPEG, PNG, WebP, GIF, BMP or TIFF"
        )
    known = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
    if not data.startswith(known) and not (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        raise ApiProblem(415, "Not an image", "send JPEG, PNG, WebP, GIF, BMP or TIFF")


async def _answered(sessions: Sessions, prediction_id: UUID, wait: float) -> None:
    """Look again and again, each time a little later, without holding a thread or a connection meanwhile."""

    def state() -> str | None:
        with sessions() as db:
            return predictions.state(db, prediction_id)

    until, pause = time.monotonic() + wait, FIRST_LOOK
    while time.monotonic() < until:
        if await run_in_threadpool(state) != "queued":
            return
        await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(1.5 * pause, LONGEST_PAUSE)
