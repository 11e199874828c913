import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vise_core.errors import Diverged
from vise_core.evaluate.grid import (
    choose,
    learning_rate,
    mean_and_std,
    require_finished,
    settings,
    split_result,
)
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.results import GridPoint, SplitResult

SPEC = EvaluateSpec(base_lrs=(0.1, 0.01), weight_decays=(0.01, 0.001, 0.0001))
SIZES, PARTS = (7, 1, 2), ("a", "b", "c")


def test_the_grid_lists_all_weight_decays_of_a_learning_rate_first():
    assert settings(SPEC)[:4] == [(0.1, 0.01), (0.1, 0.001), (0.1, 0.0001), (0.01, 0.01)]


def test_the_learning_rate_follows_the_batch_and_drops_at_milestones():
    spec = EvaluateSpec(batch=128, milestones=(60, 80), gamma=0.1)
    rates = [learning_rate(0.025, spec, epoch) for epoch in (0, 59, 60, 79, 80, 99)]
    assert rates == pytest.approx([0.0125, 0.0125, 0.00125, 0.00125, 0.000125, 0.000125])


def test_of_equal_points_the_first_is_chosen():
    assert choose([50.0, 70.0, 70.0]) == 1


def points(values: list[tuple[float, float]]) -> list[GridPoint]:
    return [
        GridPoint(base_lr=s.base_lr, weight_decay=s.weight_decay, val=val, test=test)
        for s, (val, test) in zip(settings(SPEC), values, strict=True)
    ]


def test_val_chooses_and_test_is_only_reported():
    result = split_result(
        0, points([(60, 99), (70, 40), (65, 50), (50, 60), (66, 70), (64, 80)]), SIZES, PARTS
    )
    assert (result.chosen.base_lr, result.chosen.weight_decay) == (0.1, 0.001)
    assert result.chosen.test == 40


def test_sensitivity_is_the_population_std_of_val_around_the_chosen_point():
    result = split_result(0, points([(60, 0), (70, 0), (65, 0), (50, 0), (66, 0), (64, 0)]), SIZES, PARTS)
    assert result.s_lr == pytest.approx(2.0)  # of 70 and 66: mean 68, both 2 away
    assert result.s_wd == pytest.approx((50 / 3) ** 0.5)  # of 60, 70, 65: squares 25 + 25 + 0, over 3


def test_std_over_splits_is_the_sample_std():
    assert mean_and_std([1.0, 2.0, 3.0, 4.0]) == (2.5, pytest.approx((5 / 3) ** 0.5))
    assert mean_and_std([3.0]) == (3.0, None)


VALUES = st.one_of(st.none(), st.floats(0, 100), st.sampled_from([math.nan, math.inf, -math.inf]))


@given(st.lists(VALUES, min_size=1, max_size=9))
def test_what_is_undefined_is_never_chosen(values):
    defined = [value for value in values if value is not None and math.isfinite(value)]
    if not defined:
        with pytest.raises(Diverged, match="lower base_lrs"):
            choose(values)
        return
    chosen = choose(values)
    assert values[chosen] == max(defined)
    assert chosen == values.index(max(defined))


@st.composite
def grids(draw) -> list[GridPoint]:
    """Grids in which points finished, diverged, or were stopped."""
    found = []
    for setting in settings(SPEC):
        state = draw(st.sampled_from(["finished", "diverged", "stopped"]))
        values = {"val": draw(st.floats(0, 100)), "test": draw(st.floats(0, 100))}
        told = {
            "finished": values,
            "diverged": {"val": None, "test": None, "diverged_at_epoch": draw(st.integers(1, 9))},
            "stopped": values | {"test": None, "stopped_at_epoch": 2},
        }[state]
        found.append(GridPoint(base_lr=setting.base_lr, weight_decay=setting.weight_decay, **told))
    return found


@given(grids())
def test_splits_choose_finished_points_and_survive_json(points):
    finished = [point for point in points if point.finished]
    if not finished:
        with pytest.raises(Diverged, match=r"split 3: .* base_lrs 0\.1, 0\.01.*Lower base_lrs"):
            require_finished(3, points)
        return
    require_finished(3, points)
    result = split_result(3, points, SIZES, PARTS)
    assert result.chosen.val == max(point.val for point in finished)
    for value, name in ((result.s_lr, "weight_decay"), (result.s_wd, "base_lr")):
        needed = [p for p in points if getattr(p, name) == getattr(result.chosen, name)]
        assert (value is None) == any(not point.finished for point in needed)
    assert SplitResult.model_validate_json(result.model_dump_json()) == result
    json.dumps(result.model_dump(mode="json"), allow_nan=False)


def test_the_edge_of_the_grid_is_named_only_where_there_is_one():
    chosen = split_result(0, points([(60, 0), (70, 0), (65, 0), (50, 0), (66, 0), (64, 0)]), SIZES, PARTS)
    assert chosen.edges == {"base_lr": "highest"}  # weight decay 0.001 lies in the middle
    corner = split_result(0, points([(60, 0), (70, 0), (65, 0), (50, 0), (66, 0), (74, 0)]), SIZES, PARTS)
    assert corner.edges == {"base_lr": "lowest", "weight_decay": "lowest"}
    alone = [GridPoint(base_lr=0.1, weight_decay=0.01, val=50, test=50)]
    assert split_result(0, alone, SIZES, PARTS).edges == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_result_and_no_spec_holds_what_json_cannot(value):
    with pytest.raises(ValidationError, match="finite number"):
        GridPoint(base_lr=0.1, weight_decay=0.01, val=value, test=None)
    with pytest.raises(ValidationError, match="finite number"):
        EvaluateSpec(base_lrs=(value,))
