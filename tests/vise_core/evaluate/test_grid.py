import pytest

from vise_core.evaluate.grid import choose, learning_rate, mean_and_std, settings, split_result
from vise_core.specs.evaluate import EvaluateSpec, GridPoint

SPEC = EvaluateSpec(base_lrs=(0.1, 0.01), weight_decays=(0.01, 0.001, 0.0001))


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
    result = split_result(0, points([(60, 99), (70, 40), (65, 50), (50, 60), (66, 70), (64, 80)]), (7, 1, 2))
    assert (result.chosen.base_lr, result.chosen.weight_decay) == (0.1, 0.001)
    assert result.chosen.test == 40


def test_sensitivity_is_the_population_std_of_val_around_the_chosen_point():
    result = split_result(0, points([(60, 0), (70, 0), (65, 0), (50, 0), (66, 0), (64, 0)]), (7, 1, 2))
    assert result.s_lr == pytest.approx(2.0)  # of 70 and 66: mean 68, both 2 away
    assert result.s_wd == pytest.approx((50 / 3) ** 0.5)  # of 60, 70, 65: squares 25 + 25 + 0, over 3


def test_std_over_splits_is_the_sample_std():
    assert mean_and_std([1.0, 2.0, 3.0, 4.0]) == (2.5, pytest.approx((5 / 3) ** 0.5))
    assert mean_and_std([3.0]) == (3.0, None)
