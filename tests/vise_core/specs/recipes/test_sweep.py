"""Which runs a sweep is made of."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from vise_core.specs.recipes.sweep import SweepSpec

ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))

METHODS = {
    "Random Init": {"set": {"weights": {"kind": "random", "backbone": "resnet18"}, "method": "Random Init"}},
    "VisE": {
        "set": {"weights.kind": "pretrained", "method": "VisE"},
        "inputs": {"checkpoint": {"run": ONE, "artifact": "checkpoint"}},
    },
}
TASKS = {
    "Politics": {"set": {"task": {"kind": "politics"}}, "inputs": {"dataset": {"dataset": TWO}}},
    "Emotion": {
        "set": {"task.kind": "unbiased_emotion", "splits.count": 5},
        "inputs": {"dataset": {"dataset": THREE}},
    },
}


def sweep(**changes) -> SweepSpec:
    spec = {"stage": "evaluate", "base": {"epochs": 3, "milestones": []}, **changes}
    return SweepSpec.model_validate(spec)


def test_method_by_task_by_protocol_each_with_inputs_of_its_own() -> None:
    points = sweep(cases={"method": METHODS, "task": TASKS}, grid={"seed": [0, 1]}).points()
    assert [point.cases for point in points[::2]] == [
        ("Random Init", "Politics"),
        ("Random Init", "Emotion"),
        ("VisE", "Politics"),
        ("VisE", "Emotion"),
    ]
    last = points[-1]
    assert last.spec == {
        "epochs": 3,
        "milestones": [],
        "weights": {"kind": "pretrained"},
        "method": "VisE",
        "task": {"kind": "unbiased_emotion"},
        "splits": {"count": 5},
        "seed": 1,
    }
    assert {role: ref.run or ref.dataset for role, ref in last.inputs.items()} == {
        "checkpoint": ONE,
        "dataset": THREE,
    }
    assert "checkpoint" not in points[0].inputs


def test_a_case_wins_over_what_all_share_and_the_grid_over_both() -> None:
    points = sweep(
        base={"seed": 7, "epochs": 9, "milestones": []},
        inputs={"dataset": {"dataset": ONE}},
        cases={"task": {"a": {"set": {"seed": 8, "epochs": 2}, "inputs": {"dataset": {"dataset": TWO}}}}},
        grid={"epochs": [4]},
    ).points()
    assert (points[0].spec["seed"], points[0].spec["epochs"]) == (8, 4)
    assert points[0].inputs["dataset"].dataset == TWO


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "nothing to sweep over"),
        ({"grid": {"seed": []}}, "0 points"),
        ({"grid": {"seed": list(range(1001))}}, "1001 points"),
        (
            {"grid": {"seed": list(range(100))}, "cases": {"seed": {str(n): {} for n in range(100)}}},
            "10000 points",
        ),
        ({"grid": {"seed.deeper": [1]}, "base": {"seed": 3}}, "seed is not a group of fields"),
        ({"grid": {"task.kind": ["politics", "poltics"]}}, "poltics"),
        ({"cases": {"task": {"a": {"inputs": {"dataset": {}}}}}}, "exactly one of run"),
        ({"stage": "brew", "grid": {"seed": [1]}}, "unknown stage 'brew'"),
    ],
)
def test_what_is_wrong_is_said(changes, message) -> None:
    with pytest.raises(ValidationError, match=message):
        sweep(**changes)
