"""The registry of models: evaluated predictors that people may use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.registry.tables import Artifact, Model
from backend.store.runs.tables import Run
from vise_client.schemas.models import ModelCreate, ModelView
from vise_client.schemas.run_states import RunState
from vise_core.report.comparable import data_difference, measured_on, split_differences
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.recipes.recipe import RecipeSpec


def register(db: Session, request: ModelCreate) -> Model:
    """Make a model of a succeeded evaluate run. Raises Invalid or Conflict."""
    run = db.get(Run, request.run_id)
    if run is None or run.stage != "evaluate" or run.state != RunState.succeeded.value or run.result is None:
        raise Invalid("run_id", "give a succeeded evaluate run")
    setup = run.result.get("setup", "image")
    if setup != "image":
        raise Invalid(
            "run_id",
            f"this evaluation reads texts (setup {setup}), and a model answers for an image alone; give one with setup "
            "image",
        )
    artifact = db.scalar(select(Artifact).where(Artifact.run_id == run.id, Artifact.name == "predictor"))
    if artifact is None:
        raise Invalid("run_id", "this run has no artifact named predictor")
    model = Model(
        name=request.name,
        run_id=run.id,
        artifact_id=artifact.id,
        method=run.result["method"],
        task=run.result["task"],
        backbone=run.result["backbone"],
        classes=run.result["classes"],
        headline=run.headline,
        synthetic=run.synthetic,
        default=False,
    )
    try:
        with db.begin_nested():
            db.add(model)
    except IntegrityError as error:
        raise Conflict(f"there is a model named {request.name!r} already; choose another name") from error
    if request.default:
        set_default(db, model.id)
    return model


def register_best(db: Session, parent: Run, children: Sequence[Run]) -> None:
    """When a recipe asks for it: the evaluation that is best on val becomes the default predictor."""
    if parent.kind != "recipe":
        return
    wish = RecipeSpec.model_validate(parent.spec).register_best
    if wish is None:
        return
    candidates = [
        c
        for c in children
        if c.step in wish.among and c.result is not None and c.result.get("setup", "image") == "image"
    ]
    if not candidates:
        return  # whatever reads texts makes no predictor
    _require_comparable(candidates)
    best = max(candidates, key=_validation_score)
    # One at a time, so that two recipes that end at once do not choose the same name.
    _lock_registry(db)
    names = set(db.scalars(select(Model.name).where(Model.name.startswith(wish.name, autoescape=True))))
    name, number = wish.name, 1
    while name in names:
        number += 1
        name = f"{wish.name} {number}"
    register(db, ModelCreate(run_id=best.id, name=name, default=True))


def _require_comparable(runs: Sequence[Run]) -> None:
    """Raises Invalid where val is not of the same metric, data and splits in all: the highest is not the best."""
    if len(runs) < 2:
        return
    results = [EvaluateResult.model_validate(run.result) for run in runs]
    first = results[0]
    for run, result in zip(runs[1:], results[1:], strict=True):
        mine, other = measured_on(result), measured_on(first)
        if result.metric != first.metric:
            why = f"has the metric {result.metric}, and {runs[0].name!r} {first.metric}"
        elif difference := data_difference(mine, other):
            why = f"was measured on {difference} than {runs[0].name!r}"
        elif differences := split_differences(mine, other):
            why = f"has other splits than {runs[0].name!r}: {'; '.join(differences)}"
        else:
            continue
        raise Invalid(
            "register_best.among",
            f"the best cannot be told: {run.name!r} {why}. Register one of them by hand",
        )


def set_default(db: Session, model_id: UUID) -> None:
    """Make it the one model that answers when none is named."""
    # Two requests at once must not both clear and both set.
    _lock_registry(db)
    for before in db.scalars(select(Model).where(Model.default, Model.id != model_id)):
        before.default = False
    # The one before must have gone first: there is room for one default only.
    db.flush()
    get(db, model_id).default = True
    db.flush()


def get(db: Session, model_id: UUID | None) -> Model:
    """The model, or the default one. Raises NotFound, or Conflict where there is no default."""
    model = db.get(Model, model_id) if model_id is not None else db.scalar(select(Model).where(Model.default))
    if model is None:
        raise _absent(model_id)
    return model


def with_weights(db: Session, model_id: UUID | None) -> tuple[Model, str]:
    """The model as ``get`` finds it, and the SHA-256 of its files."""
    wanted = Model.default if model_id is None else Model.id == model_id
    found = db.execute(
        select(Model, Artifact.sha256).join(Artifact, Artifact.id == Model.artifact_id).where(wanted)
    ).one_or_none()
    if found is None:
        raise _absent(model_id)
    return found[0], found[1]


def list_models(
    db: Session, *, search: str = "", task: str = "", offset: int = 0, limit: int = 1000
) -> list[Model]:
    """The default one first, then the newest; ``search`` looks in name, method and backbone."""
    statement = select(Model)
    if search:
        fields = (Model.name, Model.method, Model.backbone)
        statement = statement.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    if task:
        statement = statement.where(Model.task == task)
    ordered = statement.order_by(Model.default.desc(), Model.id.desc())
    return list(db.scalars(ordered.offset(offset).limit(limit)))


def delete(db: Session, model_id: UUID) -> None:
    db.delete(get(db, model_id))


def rename(db: Session, model_id: UUID, name: str) -> None:
    taken = db.scalar(select(func.count()).where(Model.name == name, Model.id != model_id))
    if taken:
        raise Conflict(f"there is a model named {name!r} already; choose another name")
    get(db, model_id).name = name


def _absent(model_id: UUID | None) -> NotFound | Conflict:
    if model_id is not None:
        return NotFound(f"there is no model {model_id}")
    return Conflict(
        "there is no default model yet: run the sample recipe, or register a succeeded evaluate run as a model"
    )


def _validation_score(run: Run) -> float:
    score = (run.result or {}).get("val_mean")
    return float(score) if score is not None and math.isfinite(score) else float("-inf")


def _lock_registry(db: Session) -> None:
    db.execute(text("SELECT pg_advisory_xact_lock(8447302)"))


def view(model: Model) -> ModelView:
    return ModelView.model_validate(model)
