"""The registry of models: evaluated predictors that serve predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from backend.store.accounts.ownership import require_owner
from backend.store.accounts.tables import User
from backend.store.accounts.users import Identity
from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.locks import REGISTRY_LOCK
from backend.store.registry.tables import Artifact, Model
from backend.store.rows import unique
from backend.store.runs.tables import Run
from vise_client.schemas.accounts import Role
from vise_client.schemas.models import ModelCreate, ModelView
from vise_client.schemas.run_states import RunState
from vise_core.report.comparable import data_difference, measured_on, split_differences
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.recipes.recipe import RecipeSpec

from .dataset_reads import deleted_inputs


def register(db: Session, request: ModelCreate, who: Identity | None = None) -> Model:
    """Register the model of a succeeded evaluate run, for a user, or without checks of ownership for None.

    Raises NotAllowed if the run, or the default model to replace, is another user's, Invalid if the run is no succeeded
    evaluation of images with a predictor, and Conflict if the name is taken.
    """
    run = db.get(Run, request.run_id)
    if run is not None and who is not None:
        require_owner(who, "run", run.created_by)
    if run is None or run.stage != "evaluate" or run.state != RunState.succeeded.value or run.result is None:
        raise Invalid("run_id", "give a succeeded evaluate run")
    setup = run.result.get("setup", "image")
    if setup != "image":
        raise Invalid(
            "run_id",
            f"this evaluation reads texts (setup {setup}), but models predict from images alone; give one with "
            "setup image",
        )
    if not {"method", "task", "backbone", "classes"} <= run.result.keys():
        raise Invalid("run_id", "the result of this run was written by another version; run it again")
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
    with unique(db, f"a model named {request.name!r}"):
        db.add(model)
    if request.default:
        set_default(db, model.id, who)
    return model


def register_best(db: Session, parent: Run, children: Sequence[Run]) -> None:
    """If the recipe requests it, register its evaluation with the best val score.

    It becomes the default model, unless that is another user's and the recipe's user is no admin.
    """
    if parent.kind != "recipe":
        return
    request = RecipeSpec.model_validate(parent.spec).register_best
    if request is None:
        return
    candidates = [
        c
        for c in children
        if c.step in request.among and c.result is not None and c.result.get("setup", "image") == "image"
    ]
    if not candidates:
        return  # evaluations that read texts have no predictor
    _require_comparable(candidates)
    best = max(candidates, key=_validation_score)
    # Locked, so that two recipes that end at once do not choose the same name.
    _lock_registry(db)
    names = set(db.scalars(select(Model.name).where(Model.name.startswith(request.name, autoescape=True))))
    name, number = request.name, 1
    while name in names:
        number += 1
        name = f"{request.name} {number}"
    user = db.get(User, parent.created_by) if parent.created_by is not None else None
    default = _default_owner(db)
    may_replace = (
        default is None or default[0] == parent.created_by or (user is not None and user.role == Role.admin)
    )
    register(db, ModelCreate(run_id=best.id, name=name, default=may_replace))


def _require_comparable(runs: Sequence[Run]) -> None:
    """Raise Invalid if the runs' val scores are not of one metric and equal data and splits."""
    if len(runs) < 2:
        return
    try:
        results = [EvaluateResult.model_validate(run.result) for run in runs]
    except ValidationError as error:
        raise Invalid(
            "register_best.among", "the result of a step was written by another version; run it again"
        ) from error
    first = results[0]
    for run, result in zip(runs[1:], results[1:], strict=True):
        own, other = measured_on(result), measured_on(first)
        if result.metric != first.metric:
            reason = f"has the metric {result.metric}, and {runs[0].name!r} {first.metric}"
        elif difference := data_difference(own, other):
            reason = f"was measured on {difference} than {runs[0].name!r}"
        elif differences := split_differences(own, other):
            reason = f"has other splits than {runs[0].name!r}: {'; '.join(differences)}"
        else:
            continue
        raise Invalid(
            "register_best.among",
            f"the runs cannot be compared: {run.name!r} {reason}. Register one of them by hand",
        )


def set_default(db: Session, model_id: UUID, who: Identity | None = None) -> None:
    """Make a model the default, which is used when a request names none.

    Raises NotFound if no model has this id, and NotAllowed if the default so far is another user's and ``who`` no admin.
    """
    # Locked, as two requests at once must not both clear and both set.
    _lock_registry(db)
    if who is not None and (owner := _default_owner(db)) is not None:
        require_owner(who, "default model", *owner)
    for previous in db.scalars(select(Model).where(Model.default, Model.id != model_id)):
        previous.default = False
    # The previous default must be cleared first: a unique index allows only one.
    db.flush()
    get(db, model_id).default = True
    db.flush()


def _default_owner(db: Session) -> tuple[UUID | None] | None:
    """Return the owner of the default model, which is None for a deleted user; None alone if there is no default."""
    row = db.execute(
        select(Run.created_by).join(Model, Model.run_id == Run.id).where(Model.default)
    ).one_or_none()
    return None if row is None else (row[0],)


def get(db: Session, model_id: UUID | None) -> Model:
    """Return a model, or the default one for None.

    Raises NotFound if no model has this id, and Conflict if there is no default.
    """
    model = db.get(Model, model_id) if model_id is not None else db.scalar(select(Model).where(Model.default))
    if model is None:
        raise _absent(model_id)
    return model


def with_weights(db: Session, model_id: UUID | None) -> tuple[Model, str]:
    """Return a model and the SHA-256 of its files. Takes the same ids and raises the same errors as ``get``."""
    condition = Model.default if model_id is None else Model.id == model_id
    row = db.execute(
        select(Model, Artifact.sha256).join(Artifact, Artifact.id == Model.artifact_id).where(condition)
    ).one_or_none()
    if row is None:
        raise _absent(model_id)
    return row[0], row[1]


def list_models(
    db: Session, *, search: str = "", task: str = "", offset: int = 0, limit: int = 1000
) -> list[Model]:
    """Return the models, the default first, then newest first; ``search`` matches name, method and backbone."""
    statement = select(Model)
    if search:
        fields = (Model.name, Model.method, Model.backbone)
        statement = statement.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    if task:
        statement = statement.where(Model.task == task)
    ordered = statement.order_by(Model.default.desc(), Model.id.desc())
    return list(db.scalars(ordered.offset(offset).limit(limit)))


def delete(db: Session, model_id: UUID) -> None:
    """Delete a model. Raises NotFound if no model has this id."""
    db.delete(get(db, model_id))


def rename(db: Session, model_id: UUID, name: str) -> None:
    """Rename a model. Raises NotFound if no model has this id, and Conflict if the name is taken."""
    count = db.scalar(select(func.count()).where(Model.name == name, Model.id != model_id))
    if count:
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
    db.execute(select(func.pg_advisory_xact_lock(REGISTRY_LOCK)))


def views(db: Session, models: Sequence[Model]) -> list[ModelView]:
    """Return models as the API shows them, with the deleted data sets that they were made from, by one query."""
    deleted = deleted_inputs(db, {model.run_id for model in models})
    return [ModelView.of(model, deleted_inputs=deleted.get(model.run_id, [])) for model in models]


def view(db: Session, model: Model) -> ModelView:
    """Return a model as the API shows it."""
    (view,) = views(db, [model])
    return view
