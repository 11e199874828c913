"""Routes for predictions of a model for uploaded images, their history, and feedback."""

from __future__ import annotations

from functools import cache
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask

from backend.api import needs, owners
from backend.api.broker import Broker
from backend.api.dependencies import Config, Db, Store, Who
from backend.api.documented import problems
from backend.api.errors import ApiProblem
from backend.store.accounts import quotas
from backend.store.registry import models
from backend.store.runs.queues import PREDICT_QUEUE
from backend.store.serving import feedback, predictions, uploads
from backend.store.serving.tables import Prediction
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

from .image_requests import queue_and_wait, read_image
from .prediction_cache import PredictionCache, request_key

router = APIRouter(tags=["predictions"])

Limit = Annotated[int, Query(ge=1, le=200)]


@router.post(
    "/predictions",
    response_model=PredictionView,
    responses={202: {"model": PredictionView}, **problems(415)},
    dependencies=[needs.predict],
)
async def predict(
    request: Request,
    response: Response,
    settings: Config,
    storage: Store,
    who: Who,
    image: UploadFile,
    model_id: Annotated[UUID | None, Form(description="Default: the default model.")] = None,
    method: Annotated[CamMethod, Form()] = "cam",
    target_class: Annotated[str | None, Form(max_length=200)] = None,
    strength: Annotated[float, Form(ge=0, le=1)] = 0.5,
    colour_map: Annotated[ColourMap, Form()] = COLOUR_MAP,
    overlay: Annotated[bool, Form(description="Draw the map over the image too, which takes longer.")] = True,
    batch: Annotated[UUID | None, Form(description="Any UUID of yours that groups requests.")] = None,
    position: Annotated[int, Form(ge=0, le=10_000, description="Which image of the batch.")] = 0,
    keep: Annotated[bool, Form(description="Keep a thumbnail and the SHA-256 in the history.")] = False,
    synthetic: Annotated[bool, Form(description="The image is generated.")] = False,
    wait: Annotated[float, Form(ge=0, le=30, description="Seconds to wait for the result.")] = 10,
) -> PredictionView:
    """Predict the class of an image: probabilities, class activation map and overlay.

    If the result takes longer than ``wait`` seconds, the response is 202 with a ``Location``. Identical requests are
    answered from the cache. The upload is deleted as soon as the prediction is finished, its pictures after an hour.
    """
    data = await read_image(image, settings.max_upload_bytes)
    options = PredictOptions(
        method=method,
        target_class=target_class or None,
        strength=strength,
        colour_map=colour_map,
        overlay=overlay,
    )
    info = predictions.RequestInfo(batch=batch, position=position, keep=keep, synthetic=synthetic)
    cached: PredictionCache = request.app.state.prediction_cache
    broker: Broker = request.app.state.broker

    @cache
    def key(weights: str) -> str:
        """The image is hashed once for both transactions."""
        return request_key(data, weights, options, keep)

    def check(db: Session) -> Prediction | None:
        quotas.check_predictions(db, who.user_id, settings.max_predictions_per_minute)
        model, weights = models.with_weights(db, model_id)
        predictions.check_class(model, options)
        cached_id = cached.get(key(weights))
        if cached_id is None:
            return None
        return predictions.create_from_cache(db, cached_id, model, options, who.user_id, info)

    def create(db: Session, upload: str) -> Prediction:
        model, weights = models.with_weights(db, model_id)
        queued = predictions.create(db, upload, model, options, who.user_id, info)
        cached.put(key(weights), queued.id)
        return queued

    return await queue_and_wait(
        request,
        response,
        wait,
        image=data,
        storage=storage,
        check=check,
        create=create,
        state=predictions.state,
        view=predictions.view,
        failure="No prediction",
        publish=lambda prediction_id: broker.publish(predictions.TASK, prediction_id, PREDICT_QUEUE),
    )


@router.get("/predictions", response_model=Page[PredictionSummary], dependencies=[needs.read])
def history(
    db: Db,
    who: Who,
    model_id: UUID | None = None,
    batch: Annotated[
        UUID | None, Query(description="Only this batch, of any user: a link may be shared.")
    ] = None,
    with_feedback: Annotated[bool | None, Query(description="Only those with feedback, or without.")] = None,
    everyone: Annotated[bool, Query(description="Include other users' predictions; for admins.")] = False,
    cursor: UUID | None = None,
    limit: Limit = 50,
) -> Page[PredictionSummary]:
    """List your own predictions, newest first; page with ``next_cursor``.

    Status 403 if ``everyone`` is set by a user who is no admin.
    """
    if everyone and not who.is_admin:
        raise ApiProblem(403, "Not allowed", "only an admin may list other users' predictions")
    mine = None if everyone or batch is not None else who.user_id
    return predictions.history(
        db, user=mine, model_id=model_id, batch=batch, feedback=with_feedback, cursor=cursor, limit=limit
    )


@router.get(
    "/predictions/{prediction_id}", response_model=PredictionView, dependencies=[needs.read_or_predict]
)
def read_prediction(prediction_id: UUID, db: Db) -> PredictionView:
    """Return a prediction: its probabilities, map and feedback. Status 404 if no prediction has this id."""
    return predictions.view(db, prediction_id)


@router.get(
    "/predictions/{prediction_id}/picture", response_class=Response, dependencies=[needs.read_or_predict]
)
def read_picture(prediction_id: UUID, db: Db) -> Response:
    """Return the image as an upright JPEG without metadata; 404 after it has expired."""
    headers = {"Cache-Control": "private, max-age=600", "Content-Security-Policy": "sandbox"}
    return Response(predictions.picture(db, prediction_id), media_type="image/jpeg", headers=headers)


@router.delete(
    "/predictions/{prediction_id}", status_code=204, dependencies=[needs.predict, owners.of_prediction]
)
def delete(prediction_id: UUID, db: Db, storage: Store) -> Response:
    """Delete a prediction and its feedback. Status 404 if no prediction has this id."""
    upload = predictions.delete(db, prediction_id)
    # After the response, and so after the commit: until then the row names the upload.
    delete_upload = BackgroundTask(uploads.drop, storage, upload) if upload is not None else None
    return Response(status_code=204, background=delete_upload)


@router.put(
    "/predictions/{prediction_id}/feedback",
    response_model=PredictionView,
    dependencies=[needs.predict, owners.of_label],
)
def give_feedback(prediction_id: UUID, body: FeedbackCreate, db: Db, who: Who) -> PredictionView:
    """Set the label of an image; its picture is kept for the labelled set.

    Status 404 if no prediction has this id, 409 if the image has expired, 422 for another class.
    """
    feedback.give(db, prediction_id, body.label, who.user_id)
    db.flush()
    return predictions.view(db, prediction_id)


@router.delete(
    "/predictions/{prediction_id}/feedback",
    response_model=PredictionView,
    dependencies=[needs.predict, owners.of_label],
)
def take_feedback_back(prediction_id: UUID, db: Db) -> PredictionView:
    """Delete the label of an image and the picture kept with it. Status 404 if no prediction has this id."""
    feedback.take_back(db, prediction_id)
    db.flush()
    return predictions.view(db, prediction_id)


@router.get("/feedback", response_model=Page[FeedbackView], dependencies=[needs.predict])
def list_feedback(
    db: Db,
    task: Annotated[str | None, Query(max_length=200)] = None,
    cursor: UUID | None = None,
    limit: Limit = 50,
) -> Page[FeedbackView]:
    """List the labels that users gave, newest first."""
    return feedback.list_feedback(db, task=task, cursor=cursor, limit=limit)


@router.delete("/feedback/{feedback_id}", status_code=204, dependencies=[needs.predict, owners.of_feedback])
def delete_feedback(feedback_id: UUID, db: Db) -> Response:
    """Delete an image of the labelled set, also after its prediction was deleted. Status 404 if none has this id."""
    feedback.delete(db, feedback_id)
    return Response(status_code=204)


@router.get("/feedback/counts", response_model=list[FeedbackCount], dependencies=[needs.predict])
def count_feedback(db: Db) -> list[FeedbackCount]:
    """Count the labelled images by task and label."""
    return feedback.counts(db)


@router.get(
    "/feedback/export",
    response_class=StreamingResponse,
    dependencies=[needs.predict],
    responses=problems(404),
)
def export_feedback(
    request: Request, task: Annotated[str, Query(max_length=200, description="A task with labels.")]
) -> Response:
    """Download the labelled set as a tar with labels.csv and images/.

    Register it as a data set to evaluate on it as a CSV-labelled task.
    """
    # Not the session of the request, which closes before the response is streamed.
    body = feedback.export(request.app.state.reading, task)
    headers = {"Content-Disposition": 'attachment; filename="feedback.tar"'}
    return StreamingResponse(body, media_type="application/x-tar", headers=headers)
