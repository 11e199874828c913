import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from vise_core.errors import BadInput
from vise_core.evaluate.metrics import accuracy, macro_roc_auc, top_k_accuracy

SCORES = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [0.4, 0.35, 0.25]])
LABELS = np.array([0, 1, 1, 2])


def test_accuracy_is_in_percent():
    assert accuracy(SCORES, LABELS) == 50.0


def test_top_k_by_hand_and_by_scikit_learn():
    assert [top_k_accuracy(SCORES, LABELS, k) for k in (1, 2, 3)] == [50.0, 75.0, 100.0]
    scores = np.random.default_rng(0).random((200, 7))
    labels = np.random.default_rng(1).integers(0, 7, 200)
    assert top_k_accuracy(scores, labels, 3) == pytest.approx(100 * top_k_accuracy_score(labels, scores, k=3))


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
