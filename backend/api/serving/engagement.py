"""Routes that predict the comments and reactions an image would get, from a pretrained model."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from sqlalchemy.orm import Session

from backend.api import needs
from backend.api.dependencies import Config, Db, Store, Who
from backend.api.documented import problems
from backend.store.accounts import quotas
from backend.store.serving import engagement
from backend.store.serving.tables import Engagement
from vise_client.schemas.engagement import EngagementModel, EngagementView
from vise_core.specs.models.predict import EngagementOptions

from .image_requests import queue_and_wait, read_image

router = APIRouter(prefix="/engagement", tags=["engagement"])

TOP = EngagementOptions().top


@router.post(
    "",
    response_model=EngagementView,
    responses={202: {"model": EngagementView}, **problems(415)},
    dependencies=[needs.predict],
)
async def ask(
    request: Request,
    response: Response,
    settings: Config,
    storage: Store,
    who: Who,
    image: UploadFile,
    run_id: Annotated[
        UUID | None, Form(description="A pretrain run; default: the newest with prediction heads.")
    ] = None,
    top: Annotated[int, Form(ge=1, le=100, description="Comment clusters to return.")] = TOP,
    wait: Annotated[float, Form(ge=0, le=30, description="Seconds to wait for the result.")] = 10,
) -> EngagementView:
    """Predict comment clusters and reactions for an image.

    If the result takes longer than ``wait`` seconds, the response is 202 with a ``Location``. The upload is deleted as
    soon as the prediction is finished, the prediction after an hour.
    """
    data = await read_image(image, settings.max_upload_bytes)

    def check(db: Session) -> None:
        quotas.check_predictions(db, who.user_id, settings.max_predictions_per_minute)
        engagement.find_model(db, run_id)

    def create(db: Session, upload: str) -> Engagement:
        return engagement.create(db, upload, run_id, EngagementOptions(top=top), who.user_id)

    return await queue_and_wait(
        request,
        response,
        wait,
        image=data,
        storage=storage,
        check=check,
        create=create,
        state=engagement.state,
        view=engagement.view,
        failure="No prediction",
    )


@router.get("/models", response_model=list[EngagementModel], dependencies=[needs.read])
def list_models(
    db: Db,
    search: Annotated[str | None, Query(max_length=200, description="Part of the run's name.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[EngagementModel]:
    """List the pretrained models that have prediction heads, newest first."""
    return engagement.list_models(db, search=search, limit=limit)


@router.get("/{engagement_id}", response_model=EngagementView, dependencies=[needs.read_or_predict])
def read(engagement_id: UUID, db: Db) -> EngagementView:
    """Return an engagement prediction. Status 404 if no prediction of engagement has this id."""
    return engagement.view(db, engagement_id)
