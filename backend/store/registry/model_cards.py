"""Model cards: facts and lineage of a model, also as Markdown in its download."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from backend.store.registry.tables import Artifact, Dataset, Model
from backend.store.runs.tables import Run
from vise_client.schemas.models import ModelCardView
from vise_core.files.tars import tar_member
from vise_core.report.model_card import model_card
from vise_core.specs.integrity import IntegrityReport
from vise_core.specs.models.backbones import BACKBONES
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.reports.model_card import CardMetric, LineageStep, ModelFacts

from . import artifacts, dataset_reads
from .models import get
from .storage import Storage

DEEPEST = 8


def card(db: Session, model_id: UUID) -> ModelCardView:
    """Return a model's card: facts, Markdown, and size in bytes. Raises NotFound if no model has this id."""
    model = get(db, model_id)
    facts = facts_of(db, model)
    artifact = artifacts.get(db, model.artifact_id)
    return ModelCardView(facts=facts, markdown=model_card(facts), size=artifact.size)


def facts_of(db: Session, model: Model) -> ModelFacts:
    """Return the facts of a model: its scores, weights, licence and lineage."""
    run = db.get_one(Run, model.run_id)
    result = run.result or {}
    provenance = result.get("provenance") or {}
    integrity = result.get("integrity")
    return ModelFacts(
        name=model.name,
        method=model.method,
        backbone=BACKBONES[model.backbone].title if model.backbone in BACKBONES else model.backbone,
        parameters=BACKBONES[model.backbone].parameters if model.backbone in BACKBONES else 0,
        task=model.task,
        classes=tuple(model.classes),
        protocol=result.get("protocol", ""),
        features=result.get("features", ""),
        metrics=_metrics(result),
        splits=len(result.get("splits") or ()),
        weights=result.get("weights", ""),
        licence=result.get("weights_licence", ""),
        trained_on=result.get("weights_trained_on", ""),
        integrity=IntegrityReport.model_validate(integrity).verdict.replace("_", " ") if integrity else "",
        synthetic=model.synthetic,
        run=str(run.id),
        created=model.created_at.astimezone(UTC).strftime("%Y-%m-%d"),
        git_commit=provenance.get("git_commit"),
        lineage=tuple(lineage(db, run)),
    )


def lineage(db: Session, run: Run, depth: int = 1) -> Iterator[LineageStep]:
    """Yield all that a run was made from, each input before its own inputs."""
    reads = dataset_reads.views(db, [run.id]).get(run.id, {})
    for role, raw in run.inputs.items():
        ref = InputRef.model_validate(raw)
        if ref.dataset is not None:
            dataset = db.get(Dataset, ref.dataset)
            yield LineageStep(
                role=role,
                kind="data set",
                id=str(ref.dataset),
                name=reads[role].label if role in reads else "no longer registered",
                synthetic=dataset.synthetic if dataset else False,
                depth=depth,
            )
            continue
        source = db.get(Run, ref.run) if ref.run is not None else None
        if source is None:
            continue
        yield LineageStep(
            role=role,
            kind="run",
            id=str(source.id),
            name=source.name,
            stage=source.stage or "",
            synthetic=source.synthetic,
            depth=depth,
        )
        if depth < DEEPEST:
            yield from lineage(db, source, depth + 1)


def as_tar(storage: Storage, artifact: Artifact, name: str, markdown: str) -> Iterator[bytes]:
    """Yield the predictor's folder with the card as README.md as a tar, never whole in memory."""
    folder = slug(name)
    text = markdown.encode()
    now = int(datetime.now(UTC).timestamp())
    yield from tar_member(f"{folder}/README.md", len(text), [text], mtime=now)
    yield from artifacts.as_tar(storage, artifact, folder)


def slug(name: str) -> str:
    """Return a name as a folder name that is valid on any system: letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "model"


def _metrics(result: dict[str, Any]) -> tuple[CardMetric, ...]:
    fields = ("val_mean", "val_std", "test_mean", "test_std")
    if "val_mean" not in result:
        return ()
    main = CardMetric(name=result.get("metric", "accuracy"), **{name: result.get(name) for name in fields})
    others = [
        CardMetric(name=name, **{field: values.get(field) for field in fields})
        for name, values in (result.get("secondary") or {}).items()
    ]
    return (main, *others)
