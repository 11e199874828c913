"""Predictions: an upload waits in the storage until a worker answers it; its pictures are forgotten after a while.

The row says all: whoever wrote it tells the broker, and where that came to nothing a sweep does (``announce_again``).
A message may thus come late or twice; a worker takes up a question once.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, insert, literal, select, update
from sqlalchemy.orm import Session, undefer

from backend.store.accounts.tables import User
from backend.store.errors import Invalid, NotFound
from backend.store.registry import models
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, Model
from backend.store.runs.tables import Outbox
from backend.store.serving.tables import Feedback, Prediction
from vise_client.schemas.predictions import PredictionSummary, PredictionView
from vise_client.schemas.wire import Page
from vise_core.specs.models.predict import PredictOptions

from . import uploads

QUEUE = "predict"
TASK = "worker.predict"
PICTURES = timedelta(hours=1)
"""How long overlay, heat and picture of an answer are held, so that a page can show it again after a reload."""
UNHEARD = timedelta(seconds=2)
"""A question that nobody took up for so long, while the broker holds no message, is announced again."""
ANSWERED = "vise_answered"
"""Channel on which the id of a question is told when its answer is there."""
NO_WAIT = func.set_config("synchronous_commit", "off", True)
"""In a statement: its transaction does not wait for the disk. A power failure may take the last half second of
predictions with it: they are asked again in no more."""
NOT_DRAWN = b""
"""The overlay of an answer that was asked for without one: the other pictures are held as long."""


@dataclass(frozen=True)
class Asked:
    """What belongs to a question beside image, model and options."""

    batch: UUID | None = None
    position: int = 0
    keep: bool = False
    synthetic: bool = False


@dataclass(frozen=True)
class Work:
    """What a prediction worker needs: the upload's key, the options, and the predictor's files."""

    upload: str | None
    options: PredictOptions
    keep: bool
    sha256: str
    manifest: list[dict[str, object]]


@dataclass(frozen=True)
class Answer:
    """What it writes. Pictures are encoded: ``overlay`` and ``heat`` PNG, ``picture`` and ``thumbnail`` JPEG."""

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


def create(
    db: Session,
    storage: Storage,
    image: bytes,
    model: Model,
    options: PredictOptions,
    user: UUID | None,
    asked: Asked,
) -> Prediction:
    """A queued prediction, its image stored: tell the broker once it is committed.

    Raises Invalid for a class that the model does not know.
    """
    if options.target_class is not None and options.target_class not in model.classes:
        raise Invalid("target_class", f"{model.name!r} knows {', '.join(model.classes)}")
    written = insert(Prediction).values(
        model_id=model.id,
        created_by=user,
        state="queued",
        options=options.model_dump(),
        upload=uploads.put(storage, image),
        **vars(asked),
    )
    prediction: Prediction = db.execute(written.returning(Prediction, NO_WAIT)).one()[0]
    return prediction


def repeat(
    db: Session,
    before: UUID,
    model: Model,
    options: PredictOptions,
    user: UUID | None,
    asked: Asked,
) -> Prediction | None:
    """The same question as ``before``, with its answer; None where that is not there, or not whole any more."""
    values: dict[str, Any] = {
        "model_id": model.id,
        "created_by": user,
        "options": options.model_dump(),
        **vars(asked),
    }
    same = [getattr(Prediction, name) for name in ("state", *(f.name for f in fields(Answer)))]
    given = [literal(value, Prediction.__table__.c[name].type) for name, value in values.items()]
    source = select(*given, *same).where(
        Prediction.id == before, Prediction.state == "succeeded", Prediction.picture.is_not(None)
    )
    names = [*values, *(column.key for column in same)]
    written = insert(Prediction).from_select(names, source).returning(Prediction.id)
    found = db.scalar(written)
    return None if found is None else db.get(Prediction, found)


def work(db: Session, prediction_id: UUID) -> Work | None:
    """Take it up; None where it was taken up already: a message may come twice."""
    row = db.execute(
        update(Prediction)
        .where(
            Prediction.id == prediction_id,
            Prediction.state == "queued",
            Prediction.claimed_at.is_(None),
            Model.id == Prediction.model_id,
            Artifact.id == Model.artifact_id,
        )
        .values(claimed_at=func.now())
        .returning(
            Prediction.upload,
            Prediction.options,
            Prediction.keep,
            Artifact.sha256,
            Artifact.manifest,
            NO_WAIT,
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return None
    options = PredictOptions.model_validate(row.options)
    return Work(row.upload, options, row.keep, row.sha256, row.manifest)


def answer(db: Session, prediction_id: UUID, found: Answer) -> None:
    """Write the answer. Answering again does nothing. The upload may be dropped once this is committed."""
    _close(db, prediction_id, state="succeeded", **vars(found))


def fail(db: Session, prediction_id: UUID, error: str) -> None:
    _close(db, prediction_id, state="failed", error=error)


def state(db: Session, prediction_id: UUID) -> str | None:
    return db.scalar(select(Prediction.state).where(Prediction.id == prediction_id))


def get(db: Session, prediction_id: UUID) -> Prediction:
    prediction = db.get(Prediction, prediction_id)
    if prediction is None:
        raise NotFound(f"there is no prediction {prediction_id}")
    return prediction


def view(db: Session, prediction_id: UUID) -> PredictionView:
    """The prediction as it stands. Raises NotFound."""
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
    return PredictionView(
        id=prediction.id,
        state=prediction.state,
        model=models.view(model),
        method=options.method,
        strength=options.strength,
        colour_map=options.colour_map,
        target_class=options.target_class,
        batch=prediction.batch,
        position=prediction.position,
        synthetic=prediction.synthetic,
        predicted=prediction.predicted,
        target=prediction.target,
        probabilities=prediction.probabilities,
        overlay_png=_base64(prediction.overlay),
        heat_png=_base64(prediction.heat),
        region=prediction.region,
        kept=prediction.keep,
        sha256=prediction.sha256,
        pictured_until=pictured_until(prediction) if prediction.overlay is not None else None,
        feedback=label,
        error=prediction.error,
        milliseconds=prediction.milliseconds,
        created_at=prediction.created_at,
    )


def pictured_until(prediction: Prediction) -> datetime:
    return prediction.created_at + PICTURES


def picture(db: Session, prediction_id: UUID) -> bytes:
    """The picture as a page shows it: an upright JPEG. Raises NotFound also where it was forgotten."""
    found = db.scalar(select(Prediction.picture).where(Prediction.id == prediction_id))
    if found is None:
        raise NotFound("there is no such prediction, or its picture was forgotten")
    return found


def history(
    db: Session,
    *,
    user: UUID | None,
    model_id: UUID | None = None,
    batch: UUID | None = None,
    feedback: bool | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[PredictionSummary]:
    """Newest first; keyset paging by id. ``user`` None: everyone's. Of a batch: in the order in which it was asked."""
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
    if cursor is not None:
        statement = statement.where(Prediction.id < _read_cursor(cursor))
    rows = db.execute(statement.order_by(Prediction.id.desc()).limit(limit + 1)).all()
    items = [_summary(*row) for row in rows[:limit]]
    return Page[PredictionSummary](items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)


def delete(db: Session, prediction_id: UUID) -> str | None:
    """Forget all of it, the labelled picture too; returns the key of an upload to drop once this is committed."""
    prediction = get(db, prediction_id)
    for kept in db.scalars(select(Feedback).where(Feedback.prediction_id == prediction.id)):
        db.delete(kept)
    db.delete(prediction)
    return prediction.upload


def fail_timed_out(db: Session, timeout: timedelta) -> int:
    """Fail the queued predictions that are older than ``timeout``; return how many."""
    failed = db.execute(
        update(Prediction)
        .where(Prediction.state == "queued", Prediction.created_at < func.now() - timeout)
        .values(state="failed", upload=None, error="no prediction worker answered in time; try again")
        .returning(Prediction.id)
    ).all()
    return len(failed)


def announce_again(db: Session) -> int:
    """Put into the outbox what nobody took up, as its message was lost or never sent; returns how many."""
    unheard = db.scalars(
        select(Prediction.id)
        .where(
            Prediction.state == "queued",
            Prediction.claimed_at.is_(None),
            Prediction.created_at < func.now() - UNHEARD,
            ~exists().where(Outbox.argument == Prediction.id),
        )
        .order_by(Prediction.id)
        .limit(500)
    ).all()
    db.add_all(Outbox(task=TASK, argument=each, queue=QUEUE) for each in unheard)
    return len(unheard)


def forget(db: Session) -> int:
    """Drop what can be seen in answers older than ``PICTURES``; returns of how many. Thumbnails that are kept stay."""
    dropped = db.execute(
        update(Prediction)
        .where(Prediction.overlay.is_not(None), Prediction.created_at < func.now() - PICTURES)
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
    return PredictionSummary(
        id=prediction.id,
        state=prediction.state,
        model_id=prediction.model_id,
        model=model,
        task=task,
        method=prediction.options["method"],
        target_class=prediction.options.get("target_class"),
        batch=prediction.batch,
        position=prediction.position,
        synthetic=prediction.synthetic,
        predicted=prediction.predicted,
        probability=probability,
        target=prediction.target,
        kept=prediction.keep,
        sha256=prediction.sha256,
        thumbnail_jpg=_base64(prediction.thumbnail),
        pictured=pictured,
        feedback=label,
        created_by=email,
        error=prediction.error,
        milliseconds=prediction.milliseconds,
        created_at=prediction.created_at,
    )


def _read_cursor(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError as error:
        raise Invalid("cursor", "is not one that this list gave; start again without it") from error


def _base64(data: bytes | None) -> str | None:
    return base64.b64encode(data).decode() if data else None


def _close(db: Session, prediction_id: UUID, **values: Any) -> None:
    db.execute(
        update(Prediction)
        .where(Prediction.id == prediction_id, Prediction.state == "queued")
        .values(upload=None, **values)
        .returning(NO_WAIT, func.pg_notify(ANSWERED, str(prediction_id)))
        .execution_options(synchronize_session=False)
    )
