"""Predictions: an upload waits in its row until a worker answers it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, undefer

from vise_client.schemas import PredictionView
from vise_core.specs.explain import PredictOptions

from . import models
from .errors import Invalid, NotFound
from .tables import Artifact, Model, Outbox, Prediction

QUEUE = "predict"
TASK = "worker.predict"


@dataclass(frozen=True)
class Work:
    """What a prediction worker needs: the upload, the options, and the predictor's files."""

    image: bytes
    options: PredictOptions
    sha256: str
    manifest: list[dict[str, object]]


def create(
    db: Session, image: bytes, model_id: UUID | None, options: PredictOptions, user: UUID | None
) -> Prediction:
    """A queued prediction and its message. Raises NotFound, Conflict (no default model) or Invalid."""
    model = models.get(db, model_id)
    if options.target_class is not None and options.target_class not in model.classes:
        raise Invalid("target_class", f"{model.name!r} knows {', '.join(model.classes)}")
    prediction = Prediction(
        model_id=model.id, created_by=user, state="queued", options=options.model_dump(), image=image
    )
    db.add(prediction)
    db.flush()
    db.add(Outbox(task=TASK, argument=prediction.id, queue=QUEUE))
    db.execute(text("NOTIFY vise_outbox"))
    return prediction


def work(db: Session, prediction_id: UUID) -> Work | None:
    """What to do for it; None where it was answered already: a message may come twice."""
    row = db.execute(
        select(Prediction, Artifact)
        .join(Model, Model.id == Prediction.model_id)
        .join(Artifact, Artifact.id == Model.artifact_id)
        .where(Prediction.id == prediction_id, Prediction.state == "queued")
        .options(undefer(Prediction.image), undefer(Artifact.manifest))
    ).one_or_none()
    if row is None:
        return None
    prediction, artifact = row
    if prediction.image is None:
        return None
    options = PredictOptions.model_validate(prediction.options)
    return Work(prediction.image, options, artifact.sha256, artifact.manifest)


def answer(
    db: Session,
    prediction_id: UUID,
    *,
    predicted: str,
    target: str,
    probabilities: dict[str, float],
    overlay: bytes,
    milliseconds: float,
) -> None:
    """Write the answer and drop the upload. Answering again does nothing."""
    _close(
        db,
        prediction_id,
        state="succeeded",
        predicted=predicted,
        target=target,
        probabilities=probabilities,
        overlay=overlay,
        milliseconds=milliseconds,
    )


def fail(db: Session, prediction_id: UUID, error: str) -> None:
    _close(db, prediction_id, state="failed", error=error)


def state(db: Session, prediction_id: UUID) -> str | None:
    return db.scalar(select(Prediction.state).where(Prediction.id == prediction_id))


def view(db: Session, prediction_id: UUID) -> PredictionView:
    """The prediction as it stands. Raises NotFound."""
    row = db.execute(
        select(Prediction, Model)
        .join(Model, Model.id == Prediction.model_id)
        .where(Prediction.id == prediction_id)
        .options(undefer(Prediction.overlay))
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no prediction {prediction_id}")
    prediction, model = row
    return PredictionView(
        id=prediction.id,
        state=prediction.state,
        model=models.view(model),
        method=prediction.options["method"],
        predicted=prediction.predicted,
        target=prediction.target,
        probabilities=prediction.probabilities,
        overlay_png=base64.b64encode(prediction.overlay).decode() if prediction.overlay else None,
        error=prediction.error,
        milliseconds=prediction.milliseconds,
        created_at=prediction.created_at,
    )


def _close(db: Session, prediction_id: UUID, **values: object) -> None:
    db.execute(
        update(Prediction)
        .where(Prediction.id == prediction_id, Prediction.state == "queued")
        .values(image=None, **values)
    )
