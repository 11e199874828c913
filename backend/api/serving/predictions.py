"""Ask a model about an image; the history of answers, and what people say of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask

from backend.api.broker import Broker
from backend.api.dependencies import Config, Db, Store, Who, editor
from backend.api.errors import ApiProblem
from backend.store.accounts.users import Identity
from backend.store.registry import models
from backend.store.serving import feedback, predictions, uploads
from backend.store.serving.tables import Prediction
from vise_client.schemas.accounts import Role
from vise_client.schemas.predictions import (
    FeedbackCount,
    FeedbackCreate,
    FeedbackView,
    PredictionSummary,
    PredictionView,
)
from vise_client.schemas.wire import Page
from vise_core.specs.explain import COLOUR_MAP, CamMethod, ColourMap
from vise_core.specs.models.predict import PredictOptions

from .image_requests import ask_worker, read_image
from .prediction_cache import Repeats, question_key

router = APIRouter(tags=["predictions"])

Cursor = Annotated[str | None, Query(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.post(
    "/predictions",
    response_model=PredictionView,
    dependencies=[editor],
    responses={202: {"model": PredictionView}},
)
async def predict(
    request: Request,
    response: Response,
    settings: Config,
    storage: Store,
    who: Who,
    image: UploadFile,
    model_id: Annotated[UUID | None, Form(description="Without: the default model.")] = None,
    method: Annotated[CamMethod, Form()] = "cam",
    target_class: Annotated[str | None, Form(max_length=200)] = None,
    strength: Annotated[float, Form(ge=0, le=1)] = 0.5,
    colour_map: Annotated[ColourMap, Form()] = COLOUR_MAP,
    overlay: Annotated[bool, Form(description="Draw the map over the image too, which takes time.")] = True,
    batch: Annotated[UUID | None, Form(description="Asked together with others: any UUID of yours.")] = None,
    position: Annotated[int, Form(ge=0, le=10_000, description="Which image of the batch.")] = 0,
    keep: Annotated[bool, Form(description="Keep a thumbnail and the SHA-256 in the history.")] = False,
    synthetic: Annotated[bool, Form(description="The image is generated.")] = False,
    wait: Annotated[float, Form(ge=0, le=30, description="Seconds to wait for the answer.")] = 10,
) -> PredictionView:
    """Probabilities, the class activation map and its overlay; 202 with a Location where it takes longer than ``wait``.

    A question that was asked before is answered from the row of then, as long as that is whole. The upload is dropped
    once it is answered; what can be seen in the answer is forgotten after an hour.
    """
    data = await read_image(image, settings.max_upload_bytes)
    options = PredictOptions(
        method=method,
        target_class=target_class or None,
        strength=strength,
        colour_map=colour_map,
        overlay=overlay,
    )
    asked = predictions.Asked(batch=batch, position=position, keep=keep, synthetic=synthetic)
    repeats: Repeats = request.app.state.repeats
    broker: Broker = request.app.state.broker

    def create(db: Session) -> Prediction:
        model, weights = models.with_weights(db, model_id)
        key = question_key(data, weights, options, keep)
        if (before := repeats.find(key)) is not None:
            again = predictions.repeat(db, before, model, options, who.user_id, asked)
            if again is not None:
                return again
        queued = predictions.create(db, storage, data, model, options, who.user_id, asked)
        repeats.note(key, queued.id)
        return queued

    return await ask_worker(
        request,
        response,
        wait,
        create=create,
        state=predictions.state,
        view=predictions.view,
        refusal="No prediction",
        announce=lambda asked: broker.tell(predictions.TASK, asked, predictions.QUEUE),
    )


@router.get("/predictions", response_model=Page[PredictionSummary])
def history(
    db: Db,
    who: Who,
    model_id: UUID | None = None,
    batch: Annotated[
        UUID | None, Query(description="Of this batch, whoever asked: a link may be shared.")
    ] = None,
    with_feedback: Annotated[bool | None, Query(description="Only those with feedback, or without.")] = None,
    everyone: Annotated[bool, Query(description="Also other people's; for admins.")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PredictionSummary]:
    """Your own questions, newest first; ask on with ``next_cursor``."""
    if everyone and who.role is not Role.admin:
        raise ApiProblem(403, "Not allowed", "only an admin sees other people's predictions")
    mine = None if everyone or batch is not None else who.user_id
    return predictions.history(
        db, user=mine, model_id=model_id, batch=batch, feedback=with_feedback, cursor=cursor, limit=limit
    )


@router.get("/predictions/{prediction_id}", response_model=PredictionView)
def read_prediction(prediction_id: UUID, db: Db) -> PredictionView:
    return predictions.view(db, prediction_id)


@router.get("/predictions/{prediction_id}/picture", response_class=Response)
def read_picture(prediction_id: UUID, db: Db) -> Response:
    """The image as the page shows it: an upright JPEG without metadata. 404 once it is forgotten."""
    headers = {"Cache-Control": "private, max-age=600", "Content-Security-Policy": "sandbox"}
    return Response(predictions.picture(db, prediction_id), media_type="image/jpeg", headers=headers)


@router.delete("/predictions/{prediction_id}", status_code=204, dependencies=[editor])
def delete(prediction_id: UUID, db: Db, storage: Store, who: Who) -> Response:
    """Forget it at once, with its feedback."""
    _own(predictions.get(db, prediction_id), who)
    upload = predictions.delete(db, prediction_id)
    # After the answer, which is after the commit: until then the row names it.
    dropped = BackgroundTask(uploads.drop, storage, upload) if upload is not None else None
    return Response(status_code=204, background=dropped)


@router.put("/predictions/{prediction_id}/feedback", response_model=PredictionView, dependencies=[editor])
def give_feedback(prediction_id: UUID, body: FeedbackCreate, db: Db, who: Who) -> PredictionView:
    """Say what the image is: its picture is then kept for the labelled set."""
    feedback.give(db, prediction_id, body.label, who.user_id)
    db.flush()
    return predictions.view(db, prediction_id)


@router.delete("/predictions/{prediction_id}/feedback", response_model=PredictionView, dependencies=[editor])
def take_feedback_back(prediction_id: UUID, db: Db) -> PredictionView:
    """Forget the label and the picture kept with it."""
    feedback.take_back(db, prediction_id)
    db.flush()
    return predictions.view(db, prediction_id)


@router.get("/feedback", response_model=Page[FeedbackView], dependencies=[editor])
def list_feedback(
    db: Db,
    task: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FeedbackView]:
    """What people said, newest first."""
    return feedback.list_feedback(db, task=task, cursor=cursor, limit=limit)


@router.get("/feedback/counts", response_model=list[FeedbackCount], dependencies=[editor])
def count_feedback(db: Db) -> list[FeedbackCount]:
    """The labelled set so far, by task and label."""
    return feedback.counts(db)


@router.get("/feedback/export", response_class=StreamingResponse, dependencies=[editor])
def export_feedback(
    request: Request, task: Annotated[str, Query(max_length=200, description="As in the counts.")]
) -> Response:
    """A tar with labels.csv and images: register it as a data set and evaluate on it as a CSV-labelled task."""
    # A session of its own, which lives as long as the answer is sent.
    db = request.app.state.sessions()
    try:
        body = feedback.export(db, task)
    except Exception:
        db.close()
        raise

    def stream() -> Iterator[bytes]:
        try:
            yield from body
        finally:
            db.close()

    headers = {"Content-Disposition": 'attachment; filename="feedback.tar"'}
    return StreamingResponse(stream(), media_type="application/x-tar", headers=headers)


def _own(prediction: Prediction, who: Identity) -> None:
    if prediction.created_by != who.user_id and who.role is not Role.admin:
        raise ApiProblem(403, "Not allowed", "it is another person's; an admin may delete it")
