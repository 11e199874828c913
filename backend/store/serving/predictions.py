"""Predictions: queued rows that a worker claims, and their results, whose pictures expire after a while.

The row is the truth: the process that commits it publishes a message, and if that fails the reconciler does (``republish``). A
message may come late or twice; a worker claims a prediction once.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, insert, literal, select, update
from sqlalchemy.orm import Session, undefer

from backend.store.accounts.tables import User
from backend.store.cursors import newest_first
from backend.store.errors import Invalid, NotFound
from backend.store.registry import models
from backend.store.registry.tables import Artifact, Model
from backend.store.rows import get_row
from backend.store.runs.queues import PREDICT_QUEUE
from backend.store.runs.states import outbox
from backend.store.runs.tables import Outbox, Worker
from backend.store.runs.workers import ALIVE
from backend.store.serving.tables import Engagement, Feedback, Prediction
from vise_client.schemas.predictions import PredictionSummary, PredictionView
from vise_client.schemas.wire import Page
from vise_core.specs.models.predict import PredictOptions

TASK = "worker.predict"
PICTURE_LIFETIME = timedelta(hours=1)
"""How long overlay, heat map and picture of a result are kept, so that a page can show them after a reload."""
UNCLAIMED = timedelta(seconds=2)
"""A prediction that is unclaimed for longer, while the broker holds no message, is published again."""
DONE_CHANNEL = "vise_predictions"
"""PostgreSQL channel on which the id of a finished prediction is sent."""
ASYNC_COMMIT = func.set_config("synchronous_commit", "off", True)
"""In a statement: its transaction does not wait for the disk. For claims only, which may be lost without harm."""
Lost = Callable[[Sequence[UUID]], list[UUID]]
"""Of some ids, those whose message the broker does not hold."""
NO_OVERLAY = b""
"""The overlay of a result that was requested without one; the other pictures expire as they do with one."""


@dataclass(frozen=True)
class RequestInfo:
    """Facts about a request besides its image, model and options."""

    batch: UUID | None = None
    position: int = 0
    keep: bool = False
    synthetic: bool = False


@dataclass(frozen=True)
class PredictionRequest:
    """A claimed prediction: the upload's key, the options, and the predictor's files."""

    upload: str | None
    options: PredictOptions
    keep: bool
    sha256: str
    manifest: list[dict[str, object]]


@dataclass(frozen=True)
class PredictionResult:
    """The result of a prediction. ``overlay`` and ``heat`` are PNG, ``picture`` and ``thumbnail`` JPEG."""

    predicted: str
    target: str
    probabilities: dict[str, float]
    overlay: bytes
    heat: bytes
    region: Sequence[float]
    picture: bytes
    milliseconds: float
    thumbnail: bytes | None = None
    sha256: str | None = None


def check_class(model: Model, options: PredictOptions) -> None:
    """Raise Invalid for a class that the model does not have."""
    if options.target_class is not None and options.target_class not in model.classes:
        raise Invalid("target_class", f"{model.name!r} has the classes {', '.join(model.classes)}")


def create(
    db: Session,
    upload: str,
    model: Model,
    options: PredictOptions,
    user: UUID | None,
    info: RequestInfo,
) -> Prediction:
    """Queue a prediction of an upload (``uploads.put``); return its row. Publish it once it is committed."""
    written = insert(Prediction).values(
        model_id=model.id,
        created_by=user,
        state="queued",
        options=options.model_dump(),
        upload=upload,
        **vars(info),
    )
    prediction: Prediction = db.execute(written.returning(Prediction)).scalar_one()
    return prediction


def create_from_cache(
    db: Session,
    cached_id: UUID,
    model: Model,
    options: PredictOptions,
    user: UUID | None,
    info: RequestInfo,
) -> Prediction | None:
    """Copy the result of the finished prediction ``cached_id``; None if it was deleted or its pictures have expired."""
    values: dict[str, Any] = {
        "model_id": model.id,
        "created_by": user,
        "options": options.model_dump(),
        **vars(info),
    }
    same = [getattr(Prediction, name) for name in ("state", *(f.name for f in fields(PredictionResult)))]
    given = [literal(value, Prediction.__table__.c[name].type) for name, value in values.items()]
    source = select(*given, *same).where(
        Prediction.id == cached_id, Prediction.state == "succeeded", Prediction.picture.is_not(None)
    )
    names = [*values, *(column.key for column in same)]
    written = insert(Prediction).from_select(names, source).returning(Prediction.id)
    copy_id = db.scalar(written)
    return None if copy_id is None else db.get(Prediction, copy_id)


def unclaimed(
    table: type[Prediction] | type[Engagement], row_id: UUID, worker: str, again: bool
) -> ColumnElement[bool]:
    """Return the condition of a row that a worker may claim; ``again``: its own claim may have lost its response."""
    free: ColumnElement[bool] = table.claimed_at.is_(None)
    if again:
        free = free | (table.claimed_by == worker)
    return (table.id == row_id) & (table.state == "queued") & free


def claim(db: Session, prediction_id: UUID, worker: str, *, again: bool = False) -> PredictionRequest | None:
    """Claim a prediction and return what a worker needs; None if it was claimed before (``unclaimed``)."""
    row = db.execute(
        update(Prediction)
        .where(
            unclaimed(Prediction, prediction_id, worker, again),
            Model.id == Prediction.model_id,
            Artifact.id == Model.artifact_id,
        )
        .values(claimed_at=func.now(), claimed_by=worker)
        .returning(
            Prediction.upload,
            Prediction.options,
            Prediction.keep,
            Artifact.sha256,
            Artifact.manifest,
            ASYNC_COMMIT,
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return None
    options = PredictOptions.model_validate(row.options)
    return PredictionRequest(row.upload, options, row.keep, row.sha256, row.manifest)


def finish(db: Session, prediction_id: UUID, result: PredictionResult) -> None:
    """Store the result of a queued prediction. The upload may be deleted once this is committed."""
    _close(db, prediction_id, state="succeeded", **vars(result))


def fail(db: Session, prediction_id: UUID, error: str) -> None:
    """Store why a queued prediction has no result."""
    _close(db, prediction_id, state="failed", error=error)


def state(db: Session, prediction_id: UUID) -> str | None:
    """Return the state of a prediction; None if there is no such prediction."""
    return db.scalar(select(Prediction.state).where(Prediction.id == prediction_id))


def get(db: Session, prediction_id: UUID) -> Prediction:
    """Return a prediction's row. Raises NotFound if no prediction has this id."""
    return get_row(db, Prediction, prediction_id, "prediction")


def view(db: Session, prediction_id: UUID) -> PredictionView:
    """Return a prediction with its state, and its result once it is finished.

    Raises NotFound if no prediction has this id.
    """
    row = db.execute(
        select(Prediction, Model, Feedback.label)
        .join(Model, Model.id == Prediction.model_id)
        .outerjoin(Feedback, Feedback.prediction_id == Prediction.id)
        .where(Prediction.id == prediction_id)
        .options(undefer(Prediction.overlay), undefer(Prediction.heat))
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no prediction {prediction_id}")
    prediction, model, label = row
    options = PredictOptions.model_validate(prediction.options)
    return PredictionView.of(
        prediction,
        model=models.view(db, model),
        method=options.method,
        strength=options.strength,
        colour_map=options.colour_map,
        target_class=options.target_class,
        overlay_png=_base64(prediction.overlay),
        heat_png=_base64(prediction.heat),
        kept=prediction.keep,
        pictured_until=pictured_until(prediction) if prediction.overlay is not None else None,
        feedback=label,
    )


def pictured_until(prediction: Prediction) -> datetime:
    """Return when the pictures of a prediction expire."""
    return prediction.created_at + PICTURE_LIFETIME


def picture(db: Session, prediction_id: UUID) -> bytes:
    """Return the picture as a page shows it: an upright JPEG. Raises NotFound, also after it has expired."""
    data = db.scalar(select(Prediction.picture).where(Prediction.id == prediction_id))
    if data is None:
        raise NotFound("there is no such prediction, or its picture has expired")
    return data


def history(
    db: Session,
    *,
    user: UUID | None,
    model_id: UUID | None = None,
    batch: UUID | None = None,
    feedback: bool | None = None,
    cursor: UUID | None = None,
    limit: int = 50,
) -> Page[PredictionSummary]:
    """Return one page of predictions, newest first. ``user`` None: those of all users."""
    # The probability of the predicted class only: the others stay in the database.
    probability = Prediction.probabilities[Prediction.predicted].as_float()
    pictured = Prediction.overlay.is_not(None)
    statement = (
        select(Prediction, Model.name, Model.task, Feedback.label, User.email, probability, pictured)
        .join(Model, Model.id == Prediction.model_id)
        .outerjoin(Feedback, Feedback.prediction_id == Prediction.id)
        .outerjoin(User, User.id == Prediction.created_by)
        .options(undefer(Prediction.thumbnail))
    )
    if user is not None:
        statement = statement.where(Prediction.created_by == user)
    if model_id is not None:
        statement = statement.where(Prediction.model_id == model_id)
    if batch is not None:
        statement = statement.where(Prediction.batch == batch)
    if feedback is not None:
        statement = statement.where(Feedback.label.is_not(None) if feedback else Feedback.label.is_(None))
    rows, next_cursor = newest_first(db, statement, Prediction.id, cursor, limit)
    return Page[PredictionSummary](items=[_summary(*row) for row in rows], next_cursor=next_cursor)


def delete(db: Session, prediction_id: UUID) -> str | None:
    """Delete a prediction and its feedback; return the key of an upload to delete after the commit.

    Raises NotFound if no prediction has this id.
    """
    prediction = get(db, prediction_id)
    for feedback in db.scalars(select(Feedback).where(Feedback.prediction_id == prediction.id)):
        db.delete(feedback)
    db.delete(prediction)
    return prediction.upload


def fail_timed_out(db: Session, timeout: timedelta) -> int:
    """Fail the queued predictions that are older than ``timeout``; return how many."""
    failed = db.execute(
        update(Prediction)
        .where(Prediction.state == "queued", Prediction.created_at < func.now() - timeout)
        .values(state="failed", upload=None, error="no prediction worker responded in time; try again")
        .returning(Prediction.id)
    ).all()
    return len(failed)


def republish(db: Session, lost: Lost = list) -> int:
    """Put predictions into the outbox whose message was lost, or whose worker died; return how many."""
    return republish_unclaimed(db, Prediction, TASK, lost)


def waits(table: type[Prediction] | type[Engagement]) -> ColumnElement[bool]:
    """Return the condition that a row is queued for so long that its message may have been lost."""
    return exists().where(table.state == "queued", table.created_at < func.now() - UNCLAIMED)


def republish_unclaimed(
    db: Session, table: type[Prediction] | type[Engagement], task: str, lost: Lost
) -> int:
    """Void the claims of workers that died, and write messages for unclaimed rows that have none."""
    # A worker of the same name that has started since is another one.
    lives = exists().where(
        Worker.name == table.claimed_by,
        Worker.heartbeat_at > func.now() - ALIVE,
        Worker.started_at <= table.claimed_at,
    )
    db.execute(
        update(table)
        .where(table.state == "queued", table.claimed_at.is_not(None), ~lives)
        .values(claimed_at=None, claimed_by=None)
        .execution_options(synchronize_session=False)
    )
    waiting = db.scalars(
        select(table.id)
        .where(
            table.state == "queued",
            table.claimed_at.is_(None),
            table.created_at < func.now() - UNCLAIMED,
            ~exists().where(Outbox.argument == table.id),
        )
        .order_by(table.id)
    ).all()
    again = lost(waiting)
    outbox.add(db, [(task, row_id) for row_id in again], PREDICT_QUEUE)
    return len(again)


def expire(db: Session) -> int:
    """Delete the pictures of predictions older than ``PICTURE_LIFETIME``; return of how many. Kept thumbnails stay."""
    dropped = db.execute(
        update(Prediction)
        .where(Prediction.overlay.is_not(None), Prediction.created_at < func.now() - PICTURE_LIFETIME)
        .values(overlay=None, heat=None, picture=None)
        .returning(Prediction.id)
    ).all()
    return len(dropped)


def _summary(
    prediction: Prediction,
    model: str,
    task: str,
    label: str | None,
    email: str | None,
    probability: float | None,
    pictured: bool,
) -> PredictionSummary:
    return PredictionSummary.of(
        prediction,
        model=model,
        task=task,
        method=prediction.options["method"],
        target_class=prediction.options.get("target_class"),
        probability=probability,
        kept=prediction.keep,
        thumbnail_jpg=_base64(prediction.thumbnail),
        pictured=pictured,
        feedback=label,
        created_by=email,
    )


def _base64(data: bytes | None) -> str | None:
    return base64.b64encode(data).decode() if data else None


def _close(db: Session, prediction_id: UUID, **values: Any) -> None:
    db.execute(
        update(Prediction)
        .where(Prediction.id == prediction_id, Prediction.state == "queued")
        .values(upload=None, **values)
        .returning(func.pg_notify(DONE_CHANNEL, str(prediction_id)))
        .execution_options(synchronize_session=False)
    )
