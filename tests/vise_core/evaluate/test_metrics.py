import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from vise_core.errors import BadInput
from vise_core.evaluate.metrics import MEASURES, accuracy, log_odds, macro_roc_auc, measure, top_k
from vise_core.specs.tasks.metrics import METRICS

SCORES = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [0.4, 0.35, 0.25]])
LABELS = np.array([0, 1, 1, 2])


def test_accuracy_is_in_percent():
    assert accuracy(SCORES, LABELS) == 50.0


def test_top_k_by_hand_and_by_scikit_learn():
    assert [top_k(SCORES, LABELS, k) for k in (1, 2, 3)] == [50.0, 75.0, 100.0]
    scores = np.random.default_rng(0).random((200, 7))
    labels = np.random.default_rng(1).integers(0, 7, 200)
    assert top_k(scores, labels, 3) == pytest.approx(100 * top_k_accuracy_score(labels, scores, k=3))


def test_macro_roc_auc_equals_scikit_learn():
    scores = np.random.default_rng(0).random((300, 4))
    scores /= scores.sum(axis=1, keepdims=True)
    labels = np.random.default_rng(1).integers(0, 4, 300)
    expected = roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert macro_roc_auc(scores, labels) == pytest.approx(expected)


def test_two_class_auc_counts_pairs_in_the_right_order():
    positive = np.array([0.8, 0.4, 0.6, 0.1])
    labels = np.array([1, 1, 0, 0])  # of 4 pairs, (0.8, 0.6), (0.8, 0.1) and (0.4, 0.1) are in order
    assert macro_roc_auc(np.stack([1 - positive, positive], 1), labels) == pytest.approx(0.75)


def test_a_split_with_one_class_has_no_auc():
    with pytest.raises(BadInput, match=r"ROC AUC is not defined here.* 0 has no image"):
        macro_roc_auc(np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([1, 1]))


def test_no_images_have_no_accuracy():
    with pytest.raises(BadInput, match="the split is empty"):
        accuracy(np.zeros((0, 3)), np.zeros(0, np.int64))


def test_every_metric_that_specs_name_can_be_measured():
    assert set(MEASURES) == set(METRICS)
    values = measure(("top1", "accuracy", "top5"), SCORES, LABELS)
    assert values == {"top1": 50.0, "accuracy": 50.0, "top5": 100.0}


def test_logits_are_ranked_by_their_probabilities_as_scikit_learn_would():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (200, 2)).astype(np.float32), rng.integers(0, 2, 200)
    expected = roc_auc_score(labels, softmax(logits.astype(np.float64), axis=1)[:, 1])
    assert measure(("roc_auc",), logits, labels)["roc_auc"] == pytest.approx(expected, abs=1e-12)
    # One column of logits is another ranking: the difference of the two counts.
    assert abs(roc_auc_score(labels, logits[:, 1]) - expected) > 1e-3


def test_three_classes_of_logits_equal_scikit_learn():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(300, 3)).astype(np.float32), rng.integers(0, 3, 300)
    expected = roc_auc_score(
        labels, softmax(logits.astype(np.float64), axis=1), multi_class="ovr", average="macro"
    )
    assert measure(("roc_auc",), logits, labels)["roc_auc"] == pytest.approx(expected, abs=1e-12)


def test_certain_predictions_keep_their_order():
    # Their probabilities are 1.0 in float32, all alike.
    logits = np.array([[0, 30], [0, 40], [0, 50], [0, 60]], dtype=np.float32)
    assert measure(("roc_auc",), logits, np.array([0, 0, 1, 1]))["roc_auc"] == 1.0


def test_a_network_that_diverged_ranks_nothing():
    logits = np.full((4, 2), np.nan, dtype=np.float32)
    assert np.isnan(log_odds(logits)).all()
    assert math.isnan(measure(("roc_auc",), logits, np.array([0, 1, 0, 1]))["roc_auc"])


def test_one_row_that_is_not_finite_leaves_the_other_rows_their_order():
    logits = np.array([[0, 1], [np.inf, 0], [2, 0]], dtype=np.float32)
    odds = log_odds(logits)
    assert np.isnan(odds[1]).all()
    assert odds[[0, 2]].tolist() == [[-1, 1], [2, -2]]


def test_all_nan_logits_have_no_accuracy():
    # Argmax of NaN is class 0, which would be 75 here.
    assert math.isnan(accuracy(np.full((4, 2), np.nan), np.array([0, 0, 0, 1])))


FINITE = st.floats(-(2.0**100), 2.0**100, width=32)


@given(
    rows=st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=3, max_size=12),
    place=st.tuples(st.integers(0, 11), st.integers(0, 2)),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    name=st.sampled_from(sorted(METRICS)),
)
def test_every_metric_of_anything_not_finite_is_undefined(rows, place, value, name):
    logits, labels = np.array(rows, np.float32), np.arange(len(rows)) % 3
    assert math.isfinite(measure((name,), logits, labels)[name])
    logits[place[0] % len(rows), place[1]] = value
    assert math.isnan(measure((name,), logits, labels)[name])
