"""Dependencies of the routes that change one thing: they pass its owner and admins.

@router.delete("/runs/{run_id}", dependencies=[needs.run, owners.of_run])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

from fastapi import Depends
from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from backend.api import needs
from backend.api.dependencies import Db, Who
from backend.store.accounts.ownership import require_owner
from backend.store.accounts.users import Identity
from backend.store.errors import NotAllowed, NotFound
from backend.store.registry import models
from backend.store.reports import ablations
from backend.store.runs import saved_views
from backend.store.runs.read import get_run
from backend.store.runs.tables import Run
from backend.store.serving import feedback, predictions
from backend.store.serving.tables import Prediction
from vise_client.schemas.accounts import Owned


def _run(run_id: UUID, db: Db, who: Who) -> None:
    require_owner(who, "run", get_run(db, run_id).created_by)


def _model(model_id: UUID, db: Db, who: Who) -> None:
    """A model belongs to the user whose run made it."""
    require_owner(who, "model", get_run(db, models.get(db, model_id).run_id).created_by)


def _ablation(ablation_id: UUID, db: Db, who: Who) -> None:
    require_owner(who, "ablation", ablations.get(db, ablation_id).created_by)


def _prediction(prediction_id: UUID, db: Db, who: Who) -> None:
    require_owner(who, "prediction", predictions.get(db, prediction_id).created_by)


def _label(prediction_id: UUID, db: Db, who: Who) -> None:
    """A label belongs to the user who gave it, and to the one who made the prediction; without a label, to nobody."""
    prediction = predictions.get(db, prediction_id)
    label = feedback.find(db, prediction_id)
    if label is not None:
        require_owner(who, "label", prediction.created_by, label.created_by)


def _feedback(feedback_id: UUID, db: Db, who: Who) -> None:
    """The same label by its own id; it outlives its prediction."""
    label = feedback.get_feedback(db, feedback_id)
    prediction = db.get(Prediction, label.prediction_id) if label.prediction_id is not None else None
    require_owner(
        who, "label", label.created_by, *([prediction.created_by] if prediction is not None else ())
    )


def _view(view_id: UUID, db: Db, who: Who) -> None:
    saved_views.get_own(db, view_id, who)


_RULES: dict[Owned, tuple[Callable[[UUID, Session, Identity], None], needs.Need]] = {
    Owned.run: (_run, needs.RUN),
    Owned.model: (_model, needs.RUN),
    Owned.ablation: (_ablation, needs.RUN),
    Owned.prediction: (_prediction, needs.PREDICT),
    Owned.label: (_label, needs.PREDICT),
    Owned.view: (_view, needs.PERSONAL),
}
"""Kind → the dependency of the routes that change one, and what these routes need."""


def changeable(kind: Owned, ids: Sequence[UUID], db: Session, who: Identity) -> list[UUID]:
    """Return the ids of the things that the caller may change, by the rules of the routes that change them."""
    rule, need = _RULES[kind]
    if not need.allows(who):
        return []
    # The list of runs asks for a page of them every few seconds: the rule finds what one query has read.
    runs = select(Run).where(Run.id.in_(ids)).options(load_only(Run.created_by))
    _read = db.scalars(runs).all() if kind is Owned.run else []
    allowed = []
    for thing_id in ids:
        with suppress(NotAllowed, NotFound):
            rule(thing_id, db, who)
            allowed.append(thing_id)
    return allowed


of_run = Depends(_run)
of_model = Depends(_model)
of_ablation = Depends(_ablation)
of_prediction = Depends(_prediction)
of_label = Depends(_label)
of_feedback = Depends(_feedback)
