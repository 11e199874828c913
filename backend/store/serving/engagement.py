"""Predictions of engagement: which comments and reactions a pretrained model expects for an image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session, undefer

from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.registry.tables import Artifact
from backend.store.runs.queues import PREDICT_QUEUE
from backend.store.runs.states import outbox
from backend.store.runs.tables import Run
from backend.store.serving.tables import Engagement
from vise_client.schemas.engagement import EngagementModel, EngagementResult, EngagementView
from vise_client.schemas.run_states import RunState
from vise_core.specs.models.predict import EngagementOptions
from vise_core.specs.recipes.inputs import InputRef

from .predictions import DONE_CHANNEL, PICTURE_LIFETIME, Lost, republish_unclaimed, unclaimed

TASK = "worker.engagement"


@dataclass(frozen=True)
class Files:
    """The content of an artifact: its digest and its manifest."""

    sha256: str
    manifest: list[dict[str, Any]]


@dataclass(frozen=True)
class EngagementRequest:
    """A claimed prediction: the upload's key, the options, and the model's files."""

    upload: str | None
    options: EngagementOptions
    checkpoint: Files
    inspection: Files | None


def list_models(db: Session, *, search: str | None = None, limit: int = 50) -> list[EngagementModel]:
    """Return the checkpoints that have heads for engagement, newest first; ``search`` matches part of the run's name."""
    statement = _models()
    if search:
        statement = statement.where(Run.name.icontains(search, autoescape=True))
    rows = db.execute(statement.order_by(Run.id.desc()).limit(limit)).all()
    return [
        EngagementModel.of(
            run,
            checkpoint_id=artifact.id,
            run_id=run.id,
            backbone=run.spec["backbone"],
            signals=run.spec["signals"],
            has_terms=_inspection(db, run) is not None,
            clusterer_run_id=clusterer.id if (clusterer := _clusterer(db, run)) else None,
        )
        for run, artifact in rows
    ]


def find_model(db: Session, run_id: UUID | None) -> tuple[Run, Artifact]:
    """Return a pretrain run that has heads for engagement, and its checkpoint; without an id: the newest.

    Raises Invalid for a run without a model, and Conflict if there is no model at all.
    """
    statement = _models()
    if run_id is not None:
        statement = statement.where(Run.id == run_id)
    row = db.execute(statement.order_by(Run.id.desc()).limit(1)).one_or_none()
    if row is None and run_id is not None:
        raise Invalid("run_id", "give a succeeded pretrain run with the objective vise")
    if row is None:
        raise Conflict("there is no pretrained model yet: run the sample recipe, or pretrain one")
    return row[0], row[1]


def create(
    db: Session, upload: str, run_id: UUID | None, options: EngagementOptions, user: UUID | None
) -> Engagement:
    """Queue a prediction of an upload (``uploads.put``) with its message; return its row.

    Takes the same runs and raises the same errors as ``find_model``.
    """
    run, checkpoint = find_model(db, run_id)
    inspection = _inspection(db, run)
    queued = Engagement(
        checkpoint_id=checkpoint.id,
        inspection_id=inspection.id if inspection else None,
        created_by=user,
        state="queued",
        options=options.model_dump(),
        upload=upload,
    )
    db.add(queued)
    db.flush()
    outbox.add(db, [(TASK, queued.id)], PREDICT_QUEUE)
    return queued


def claim(db: Session, engagement_id: UUID, worker: str, *, again: bool = False) -> EngagementRequest | None:
    """Claim a prediction and return what a worker needs; None if it was claimed before (``unclaimed``)."""
    row = db.execute(
        update(Engagement)
        .where(unclaimed(Engagement, engagement_id, worker, again))
        .values(claimed_at=func.now(), claimed_by=worker)
        .returning(Engagement)
    ).scalar_one_or_none()
    if row is None:
        return None

    def files(artifact_id: UUID) -> Files:
        artifact = db.get_one(Artifact, artifact_id, options=[undefer(Artifact.manifest)])
        return Files(artifact.sha256, artifact.manifest)

    return EngagementRequest(
        row.upload,
        EngagementOptions.model_validate(row.options),
        files(row.checkpoint_id),
        files(row.inspection_id) if row.inspection_id else None,
    )


def republish(db: Session, lost: Lost = list) -> int:
    """Put predictions into the outbox whose message was lost, or whose worker died; return how many."""
    return republish_unclaimed(db, Engagement, TASK, lost)


def finish(db: Session, engagement_id: UUID, result: EngagementResult, milliseconds: float) -> None:
    """Store the result of a queued prediction. The upload may be deleted once this is committed."""
    values = {"result": result.model_dump(mode="json"), "milliseconds": milliseconds}
    _close(db, engagement_id, state="succeeded", **values)


def fail(db: Session, engagement_id: UUID, error: str) -> None:
    """Store why a queued prediction has no result."""
    _close(db, engagement_id, state="failed", error=error)


def state(db: Session, engagement_id: UUID) -> str | None:
    """Return the state of a prediction; None if there is no such prediction."""
    return db.scalar(select(Engagement.state).where(Engagement.id == engagement_id))


def view(db: Session, engagement_id: UUID) -> EngagementView:
    """Return a prediction with its state, and its result once it is finished.

    Raises NotFound if none has this id, as after an hour, when they are deleted.
    """
    row = db.execute(
        select(Engagement, Run)
        .join(Artifact, Artifact.id == Engagement.checkpoint_id)
        .join(Run, Run.id == Artifact.run_id)
        .where(Engagement.id == engagement_id)
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no prediction {engagement_id}; predictions of engagement are deleted after an hour"
        )
    prediction, run = row
    return EngagementView.of(prediction, run_id=run.id, synthetic=run.synthetic)


def expire(db: Session, *, timeout: timedelta) -> None:
    """Fail queued predictions that are older than ``timeout``; delete all that are older than ``PICTURE_LIFETIME``."""
    db.execute(
        update(Engagement)
        .where(Engagement.state == "queued", Engagement.created_at < func.now() - timeout)
        .values(state="failed", upload=None, error="no prediction worker responded in time; try again")
    )
    db.execute(delete(Engagement).where(Engagement.created_at < func.now() - PICTURE_LIFETIME))


def _models() -> Select[Run, Artifact]:
    """Select succeeded VisE pretraining runs with their checkpoints. MoCo-v2 and imported weights have no heads."""
    return (
        select(Run, Artifact)
        .join(Artifact, (Artifact.run_id == Run.id) & (Artifact.name == "checkpoint"))
        .where(
            Run.stage == "pretrain",
            Run.state == RunState.succeeded.value,
            Run.spec["objective"].as_string() == "vise",
        )
    )


def _inspection(db: Session, run: Run) -> Artifact | None:
    """Return the inspection of the clusterer that labelled the run's posts; None if the labels came from elsewhere."""
    clusterer = _clusterer(db, run)
    if clusterer is None:
        return None
    return db.scalar(select(Artifact).where(Artifact.run_id == clusterer.id, Artifact.name == "inspection"))


def _clusterer(db: Session, run: Run) -> Run | None:
    labels = _source(db, run, "labels")
    return _source(db, labels, "clusterer") if labels else None


def _source(db: Session, run: Run, role: str) -> Run | None:
    if role not in run.inputs:
        return None
    ref = InputRef.model_validate(run.inputs[role])
    return db.get(Run, ref.run) if ref.run is not None else None


def _close(db: Session, engagement_id: UUID, **values: Any) -> None:
    db.execute(
        update(Engagement)
        .where(Engagement.id == engagement_id, Engagement.state == "queued")
        .values(upload=None, **values)
    )
    db.execute(select(func.pg_notify(DONE_CHANNEL, str(engagement_id))))
