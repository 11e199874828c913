"""Runs of before stratified splits keep their meaning: stored specs, copies of them, groups."""

import json
from typing import Any

from sqlalchemy import text

from alembic import command
from backend.store.database import alembic_config, connect
from backend.store.runs.identity import identity
from vise_core.specs.recipes.recipe import RecipeSpec
from vise_core.specs.recipes.sweep import SweepSpec
from vise_core.specs.stages import validate_spec

BEFORE = "0011"
OLD_SPLITS = {"count": 2, "train": 0.6, "val": 0.2, "seed": 3}
RECIPE = {
    "title": "r",
    "steps": {
        "one": {"stage": "evaluate", "spec": {"splits": {"count": 2}, "epochs": 7}},
        "two": {"stage": "integrity", "spec": {}},
        "three": {"stage": "cluster", "spec": {}},
    },
}
SWEEP = {
    "stage": "evaluate",
    "base": {"epochs": 61},
    "cases": {
        "task": {
            "a": {"set": {"splits": {"count": 1}}, "inputs": {}},
            "b": {"set": {"epochs": 70}, "inputs": {}},
        }
    },
    "grid": {"splits.seed": [1, 2]},
}
INSERT = "INSERT INTO runs (kind, stage, name, state, queue, spec) VALUES (:kind, :stage, :name, 'succeeded', 'cpu', :spec)"


def rows() -> list[dict[str, Any]]:
    whole = {"seed": 0, "splits": OLD_SPLITS, "epochs": 61}
    return [
        {"kind": "stage", "stage": "evaluate", "name": "whole", "spec": json.dumps(whole)},
        {"kind": "stage", "stage": "integrity", "name": "short", "spec": json.dumps({"seed": 1})},
        {"kind": "stage", "stage": "cluster", "name": "other", "spec": json.dumps({"seed": 1})},
        {"kind": "recipe", "stage": None, "name": "recipe", "spec": json.dumps(RECIPE)},
        {"kind": "sweep", "stage": None, "name": "sweep", "spec": json.dumps(SWEEP)},
    ]


def test_what_is_stored_says_that_it_is_not_stratified(database_url: str) -> None:
    config = alembic_config(database_url)
    command.upgrade(config, BEFORE)
    engine = connect(database_url)
    with engine.begin() as db:
        db.execute(text(INSERT), rows())
    command.upgrade(config, "head")
    with engine.begin() as db:
        specs = dict(db.execute(text("SELECT name, spec FROM runs")).all())
        assert specs["whole"] == {"seed": 0, "splits": {**OLD_SPLITS, "stratify": False}, "epochs": 61}
        assert list(specs["whole"]) == ["seed", "splits", "epochs"]
        assert not validate_spec("evaluate", specs["whole"]).splits.stratify
        assert not validate_spec("integrity", specs["short"]).splits.stratify
        assert specs["other"] == {"seed": 1}
        recipe = RecipeSpec.model_validate(specs["recipe"])
        told = {name: validate_spec(step.stage, step.spec) for name, step in recipe.steps.items()}
        assert (told["one"].splits.stratify, told["one"].splits.count) == (False, 2)
        assert not told["two"].splits.stratify
        points = SweepSpec.model_validate(specs["sweep"]).points()
        assert [validate_spec("evaluate", point.spec).splits.stratify for point in points] == [False] * 4
        parameters = db.execute(
            text("SELECT name, text FROM run_params JOIN runs ON run_id = id WHERE path = 'splits.stratify'")
        ).all()
        assert sorted(parameters) == [("short", "false"), ("whole", "false")]
    command.downgrade(config, BEFORE)
    with engine.begin() as db:
        assert db.scalar(text("SELECT spec FROM runs WHERE name = 'whole'")) == {
            "seed": 0, "splits": OLD_SPLITS, "epochs": 61,
        }  # fmt: skip
    engine.dispose()


def test_a_copy_of_an_old_run_is_in_its_group_and_a_stratified_one_is_not() -> None:
    def group(**splits: Any) -> str:
        return identity("evaluate", {"splits": OLD_SPLITS | splits}, {}, {}).group_key

    assert group() == group(stratify=False) == group(seed=9, count=1)
    assert group() != group(stratify=True)
