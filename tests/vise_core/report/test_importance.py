"""Which parameters go with a metric: known answers, and what cannot be said."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vise_core.report.importance import importance

RNG = np.random.default_rng(0)


def test_a_number_that_decides_comes_first_with_its_sign() -> None:
    lr = [0.1, 0.01, 0.001, 0.1, 0.01, 0.001, 0.1, 0.01, 0.001]
    noise = list(RNG.normal(size=9))
    metric = [-np.log10(v) + 0.01 * n for v, n in zip(lr, noise, strict=True)]
    first, second = importance({"noise": noise, "lr": lr}, metric)
    assert (first.path, second.path) == ("lr", "noise")
    assert first.rank_correlation == pytest.approx(-0.949, abs=0.01), "ties among equal rates"
    assert first.variance_share is not None
    assert first.variance_share > 0.99


def test_a_name_has_a_share_of_variance_and_no_rank() -> None:
    names = ["a", "b"] * 4
    (found,) = importance({"backbone": names}, [1, 3, 1, 3, 1, 3, 1, 3])
    assert (found.rank_correlation, found.variance_share, found.runs) == (None, 1.0, 8)


def test_the_share_is_that_of_a_one_way_analysis_by_hand() -> None:
    # Groups (1, 2, 3) and (3, 4, 5): SS within 4, total 10; ε² = (6 - 1 · 4/4) / 10.
    (found,) = importance({"x": list("aaabbb")}, [1, 2, 3, 3, 4, 5])
    assert found.variance_share == pytest.approx(0.5)


def test_numbers_that_hardly_repeat_are_grouped_by_quarters() -> None:
    (found,) = importance({"x": list(range(12))}, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    assert found.variance_share == pytest.approx(1.0)


def test_many_groups_by_chance_have_no_share() -> None:
    shares = [
        importance({"x": list("aabbccdd")}, list(RNG.normal(size=8)))[0].variance_share for _ in range(200)
    ]
    assert np.mean(shares) < 0.2, "plain η² would be 3/7 by chance alone"


def test_runs_without_the_metric_are_left_out_and_what_is_constant_is_not_listed() -> None:
    weights = importance({"seed": [1, 1, 1, 2], "lr": [1, 2, 3, 4]}, [1.0, 2.0, 3.0, None])
    assert [(each.path, each.runs) for each in weights] == [("lr", 3)]
    assert importance({"lr": [1, 2]}, [None, None]) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1e6, 1e6)), min_size=2, max_size=30))
def test_measures_stay_within_their_limits(pairs: list[tuple[int, float]]) -> None:
    for each in importance({"x": [p for p, _ in pairs]}, [v for _, v in pairs]):
        assert each.rank_correlation is None or -1 <= each.rank_correlation <= 1
        assert each.variance_share is None or 0 <= each.variance_share <= 1
