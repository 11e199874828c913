"""A recipe's best evaluation becomes the default model, where the best can be told."""

import sys
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.accounts import users
from backend.store.errors import Invalid
from backend.store.registry.models import register, register_best
from backend.store.registry.tables import Artifact, Model
from backend.store.runs.tables import Run
from tests.backend.run_rows import add_run
from vise_client.schemas.accounts import Role
from vise_client.schemas.models import ModelCreate

sys.path.insert(0, str(Path(__file__).parents[3] / "vise_core" / "report"))
from results import evaluation

STEP = {
    "stage": "evaluate",
    "spec": {"weights": {"kind": "random"}},
    "inputs": {"dataset": {"given": "images"}},
}
RECIPE = {
    "title": "two",
    "given": {"images": {"help": "pictures", "artifact": "evaluation_set"}},
    "steps": {"one": STEP, "two": STEP},
    "register_best": {"among": ["one", "two"], "name": "best"},
}


def child(step: str, **facts: object) -> Run:
    result = evaluation(step, [50.0, 52.0], **facts).model_dump(mode="json")
    return Run(kind="stage", stage="evaluate", name=step, step=step, result=result)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"data": "others"}, r"'two' was measured on other images \(100 each\) than 'one'"),
        (
            {"draw": "seed 1"},
            "'two' has other splits than 'one': splits 0 and 1: train, val and test images differ",
        ),
        ({"metric": "roc_auc"}, "'two' has the metric roc_auc, and 'one' accuracy"),
    ],
)
def test_no_model_is_the_best_of_what_cannot_be_compared(
    db: Session, facts: dict[str, object], why: str
) -> None:
    parent = Run(kind="recipe", name="two", spec=RECIPE)
    with pytest.raises(Invalid, match=f"the runs cannot be compared: {why}"):
        register_best(db, parent, [child("one"), child("two", **facts)])


def test_no_model_is_the_best_of_results_of_another_version(db: Session) -> None:
    children = evaluations(db)
    children[1].result = {"method": "VisE"}
    with pytest.raises(Invalid, match="was written by another version"):
        register_best(db, Run(kind="recipe", name="two", spec=RECIPE), children)
    request = ModelCreate(run_id=children[1].id, name="m")
    with pytest.raises(Invalid, match="was written by another version"):
        register(db, request)


def test_of_what_can_be_compared_the_highest_on_val_is_registered(db: Session) -> None:
    children = evaluations(db)
    register_best(db, Run(kind="recipe", name="two", spec=RECIPE), children)
    (model,) = db.scalars(select(Model))
    assert (model.run_id, model.name, model.default) == (children[1].id, "best", True)


@pytest.mark.parametrize(("role", "default"), [(Role.editor, False), (Role.admin, True)])
def test_the_default_model_of_another_user_stays_unless_an_admin_ran_the_recipe(
    db: Session, role: Role, default: bool
) -> None:
    first, second = (users.create_user(db, f"{name}@example.org", None, role) for name in "ab")
    db.flush()
    for user in (first, second):
        children = evaluations(db)
        for child in children:
            child.created_by = user.id
        register_best(db, Run(kind="recipe", name="two", spec=RECIPE, created_by=user.id), children)
    assert {model.name: model.default for model in db.scalars(select(Model))} == {
        "best": not default,
        "best 2": default,
    }


def evaluations(db: Session) -> list[Run]:
    """Two evaluations with a predictor, the second the better."""
    children = []
    for step, values in (("one", [50.0, 52.0]), ("two", [60.0, 62.0])):
        run = add_run(db, name=step, step=step)
        run.result = evaluation(step, values).model_dump(mode="json")
        db.add(
            Artifact(
                run_id=run.id, name="predictor", sha256="0" * 64, size=1, files=1, folder=True, manifest=[]
            )
        )
        children.append(run)
    db.flush()
    return children
