"""The paired test against SciPy and against a hand computation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import evaluation
from scipy import stats

from vise_core.errors import BadInput
from vise_core.report import paired_test

A, B = [44.1, 46.0, 43.2, 48.8, 47.5], [43.0, 45.5, 43.9, 45.1, 46.0]


def test_p_and_effect_size_equal_scipy_and_numpy():
    paired = paired_test(evaluation("A", A), evaluation("B", B))
    expected = stats.ttest_rel(A, B)
    assert paired.t == pytest.approx(expected.statistic)
    assert paired.p == pytest.approx(expected.pvalue)
    differences = np.subtract(A, B)
    assert paired.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert paired.differences == pytest.approx(tuple(differences))


def test_the_correction_for_overlapping_splits_is_nadeau_and_bengio_s():
    paired = paired_test(evaluation("A", A), evaluation("B", B))  # 70 train, 20 test images
    differences = np.subtract(A, B)
    t = differences.mean() / math.sqrt((1 / 5 + 20 / 70) * differences.var(ddof=1))
    assert paired.p_corrected == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert paired.p_corrected > paired.p


@given(st.lists(st.tuples(*[st.floats(0, 100, allow_nan=False)] * 2), min_size=2, max_size=9))
def test_swapping_the_methods_changes_signs_only(pairs):
    a, b = ([round(pair[i], 3) for pair in pairs] for i in (0, 1))
    one, two = (paired_test(evaluation("A", x), evaluation("B", y)) for x, y in ((a, b), (b, a)))
    assert one.mean == pytest.approx(-two.mean)
    assert one.p == (None if two.p is None else pytest.approx(two.p))


def test_equal_differences_have_no_test_and_say_so():
    paired = paired_test(evaluation("A", [2.0, 3.0]), evaluation("B", [1.0, 2.0]))
    assert (paired.t, paired.p, paired.effect_size) == (None, None, None)
    assert "no test" in paired.sentence()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (evaluation("B", B, task="Politics"), "same task"),
        (evaluation("B", B, protocol="fine-tuned"), "same protocol"),
        (evaluation("B", B[:3]), "same splits"),
    ],
)
def test_what_cannot_be_paired_is_refused(other, told: str):
    with pytest.raises(BadInput, match=told):
        paired_test(evaluation("A", A), other)


def test_one_split_is_too_few():
    with pytest.raises(BadInput, match="two splits"):
        paired_test(evaluation("A", [1.0]), evaluation("B", [2.0]))


def test_where_there_is_no_test_set_val_is_compared():
    paired = paired_test(evaluation("A", A, test=False), evaluation("B", B, test=False))
    assert paired.on == "val"
