"""Questions to pretrained models: which comments and reactions they expect of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, select, text, update
from sqlalchemy.orm import Session, undefer

from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact
from backend.store.runs.tables import Outbox, Run
from backend.store.serving.tables import Engagement
from vise_client.schemas.engagement import EngagementAnswer, EngagementModel, EngagementView
from vise_client.schemas.run_states import RunState
from vise_core.specs.models.predict import EngagementOptions
from vise_core.specs.recipes.inputs import InputRef

from . import uploads
from .predictions import ANSWERED, PICTURES, QUEUE

TASK = "worker.engagement"


@dataclass(frozen=True)
class Files:
    """An artifact's content."""

    sha256: str
    manifest: list[dict[str, Any]]


@dataclass(frozen=True)
class Work:
    """What a prediction worker needs."""

    upload: str | None
    options: EngagementOptions
    checkpoint: Files
    inspection: Files | None


def list_models(db: Session, *, search: str | None = None, limit: int = 50) -> list[EngagementModel]:
    """Checkpoints that have heads for engagement, newest first."""
    statement = _able()
    if search:
        statement = statement.where(Run.name.icontains(search, autoescape=True))
    rows = db.execute(statement.order_by(Run.id.desc()).limit(limit)).all()
    return [
        EngagementModel(
            checkpoint_id=artifact.id,
            run_id=run.id,
            name=run.name,
            backbone=run.spec["backbone"],
            signals=run.spec["signals"],
            has_terms=_inspection(db, run) is not None,
            clusterer_run_id=clusterer.id if (clusterer := _clusterer(db, run)) else None,
            synthetic=run.synthetic,
            created_at=run.created_at,
        )
        for run, artifact in rows
    ]


def create(
    db: Session,
    storage: Storage,
    image: bytes,
    run_id: UUID | None,
    options: EngagementOptions,
    user: UUID | None,
) -> Engagement:
    """A queued question with its message, its image stored; without a run: to the newest model.

    Raises Invalid or Conflict.
    """
    statement = _able()
    if run_id is not None:
        statement = statement.where(Run.id == run_id)
    row = db.execute(statement.order_by(Run.id.desc()).limit(1)).one_or_none()
    if row is None and run_id is not None:
        raise Invalid("run_id", "give a succeeded pretrain run with the objective vise")
    if row is None:
        raise Conflict("there is no pretrained model yet: run the sample recipe, or pretrain one")
    run, checkpoint = row
    inspection = _inspection(db, run)
    asked = Engagement(
        checkpoint_id=checkpoint.id,
        inspection_id=inspection.id if inspection else None,
        created_by=user,
        state="queued",
        options=options.model_dump(),
        upload=uploads.put(storage, image),
    )
    db.add(asked)
    db.flush()
    db.add(Outbox(task=TASK, argument=asked.id, queue=QUEUE))
    db.execute(text("NOTIFY vise_outbox"))
    return asked


def work(db: Session, engagement_id: UUID) -> Work | None:
    """What to do for it; None where it was answered already."""
    asked = db.scalar(select(Engagement).where(Engagement.id == engagement_id, Engagement.state == "queued"))
    if asked is None:
        return None

    def files(artifact_id: UUID) -> Files:
        artifact = db.get_one(Artifact, artifact_id, options=[undefer(Artifact.manifest)])
        return Files(artifact.sha256, artifact.manifest)

    return Work(
        asked.upload,
        EngagementOptions.model_validate(asked.options),
        files(asked.checkpoint_id),
        files(asked.inspection_id) if asked.inspection_id else None,
    )


def answer(db: Session, engagement_id: UUID, found: EngagementAnswer, milliseconds: float) -> None:
    """Write the answer. The upload may be dropped once this is committed."""
    values = {"answer": found.model_dump(mode="json"), "milliseconds": milliseconds}
    _close(db, engagement_id, state="succeeded", **values)


def fail(db: Session, engagement_id: UUID, error: str) -> None:
    _close(db, engagement_id, state="failed", error=error)


def state(db: Session, engagement_id: UUID) -> str | None:
    return db.scalar(select(Engagement.state).where(Engagement.id == engagement_id))


def view(db: Session, engagement_id: UUID) -> EngagementView:
    """The question as it stands. Raises NotFound."""
    row = db.execute(
        select(Engagement, Run)
        .join(Artifact, Artifact.id == Engagement.checkpoint_id)
        .join(Run, Run.id == Artifact.run_id)
        .where(Engagement.id == engagement_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no answer {engagement_id}; answers are forgotten after an hour")
    asked, run = row
    return EngagementView(
        id=asked.id,
        state=asked.state,
        checkpoint_id=asked.checkpoint_id,
        run_id=run.id,
        synthetic=run.synthetic,
        answer=asked.answer,
        error=asked.error,
        milliseconds=asked.milliseconds,
        created_at=asked.created_at,
    )


def forget(db: Session, *, timeout: Any) -> None:
    """Fail what nobody answered within ``timeout`` (timedelta); drop answers older than those of predictions."""
    db.execute(
        update(Engagement)
        .where(Engagement.state == "queued", Engagement.created_at < func.now() - timeout)
        .values(state="failed", upload=None, error="no prediction worker answered in time; try again")
    )
    db.execute(delete(Engagement).where(Engagement.created_at < func.now() - PICTURES))


def _able() -> Select[Run, Artifact]:
    """Succeeded VisE pretrainings with their checkpoints. MoCo-v2 and imported weights have no heads."""
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
    """What the clusters mean: by way of the labels to the clusterer; None where the labels came from elsewhere."""
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
    db.execute(select(func.pg_notify(ANSWERED, str(engagement_id))))
