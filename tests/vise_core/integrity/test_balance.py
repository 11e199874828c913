"""Balance of labels, against numbers worked out by hand and by SciPy."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, entropy

from vise_core.integrity.balance import label_balance, pretraining_balance
from vise_core.specs.integrity import IntegrityLimits
from vise_core.tasks import LabelledImages, Split

LIMITS = IntegrityLimits()


def task(labels: list[int], classes: int, root) -> LabelledImages:
    names = tuple(f"class {n}" for n in range(classes))
    paths = tuple(root / f"{n}.jpg" for n in range(len(labels)))
    return LabelledImages("t", root, paths, np.array(labels), names)


def split(train: int, val: int, test: int) -> Split:
    return Split(*np.split(np.arange(train + val + test), [train, train + val]))


def test_even_classes_are_fine(tmp_path) -> None:
    check = label_balance(task([0, 1] * 20, 2, tmp_path), [split(20, 10, 10)], LIMITS, 5)
    assert check.verdict == "ok"
    assert check.counts["imbalance"] == 1
    assert check.counts["majority"] == 0.5
    assert check.counts["shift"] == 0
    assert "50.0 %" in check.sentence


def test_counts_of_an_uneven_task(tmp_path) -> None:
    labels = [0] * 36 + [1] * 3 + [0] + [0, 0, 0, 1]
    check = label_balance(task(labels, 2, tmp_path), [split(39, 1, 4)], LIMITS, 5)
    assert check.verdict == "warning"
    assert check.counts["imbalance"] == 12
    assert check.counts["majority"] == 0.75
    assert check.counts["shift"] == 0, "of four test images that says nothing"
    assert check.counts["normalised_entropy"] == pytest.approx(entropy([36, 3], base=2))
    assert (check.counts["smallest_class"], check.counts["largest_class"]) == (4, 40)


def test_test_images_of_other_classes_than_train_warn(tmp_path) -> None:
    labels = [0, 1] * 100 + [0] * 30 + [1] * 10
    check = label_balance(task(labels, 2, tmp_path), [split(180, 20, 40)], LIMITS, 5)
    assert chi2_contingency([[90, 90], [30, 10]], correction=False).pvalue < 0.01
    assert check.verdict == "warning"
    assert check.counts["shift"] == pytest.approx(0.25)
    assert "differ by 25.0 %" in check.sentence


def test_a_difference_that_chance_explains_does_not_warn(tmp_path) -> None:
    check = label_balance(task([0, 1] * 10 + [0, 0, 0, 1], 2, tmp_path), [split(18, 2, 4)], LIMITS, 5)
    assert check.verdict == "ok"


def test_a_class_without_training_images_fails_and_is_named(tmp_path) -> None:
    check = label_balance(task([0, 0, 1, 1, 2, 0, 1, 2], 3, tmp_path), [split(4, 1, 3)], LIMITS, 5)
    assert check.verdict == "failed"
    assert "class 2: no training image in split 0" in check.sentence
    assert "imbalance" not in check.counts, "it is no number"


def test_one_class_only_in_the_reported_part_fails(tmp_path) -> None:
    check = label_balance(task([0, 1, 0, 1, 0, 0], 2, tmp_path), [split(3, 1, 2)], LIMITS, 5)
    assert check.verdict == "failed"
    assert {e.kind for e in check.examples} == {"one class only", "no test image"}


def test_without_a_test_set_val_is_judged(tmp_path) -> None:
    check = label_balance(task([0, 1, 0, 1, 0, 1, 0], 2, tmp_path), [split(4, 3, 0)], LIMITS, 5)
    assert check.counts["majority"] == pytest.approx(2 / 3)


def test_the_worst_split_decides_the_verdict(tmp_path) -> None:
    images = task([0, 1] * 10 + [1] * 4, 2, tmp_path)
    even, uneven = Split(*map(np.array, ([0, 1, 2, 3], [4, 5], [6, 7]))), split(18, 2, 4)
    assert label_balance(images, [even], LIMITS, 5).verdict == "ok"
    assert label_balance(images, [even, uneven], LIMITS, 5).verdict == "failed", (
        "one class only in the second"
    )


def test_majority_class_accuracy_is_the_mean_over_splits(tmp_path) -> None:
    # The largest class has 7, 5, 5, 5 and 4 of 16 test images: 43.75 % at most, 26 / 80 = 32.5 % on average.
    tests = [(7, 3, 3, 3), (5, 4, 4, 3), (5, 4, 4, 3), (5, 4, 4, 3), (4, 4, 4, 4)]
    labels, splits = [0, 1, 2, 3] * 3, []
    for counts in tests:
        start = len(labels)
        labels += [label for label, count in enumerate(counts) for _ in range(count)]
        splits.append(Split(np.arange(8), np.arange(8, 12), np.arange(start, start + 16)))
    check = label_balance(task(labels, 4, tmp_path), splits, LIMITS, 5)
    assert check.counts["majority"] == pytest.approx(0.325)
    assert "majority-class accuracy 32.5 %, mean over 5 splits" in check.sentence


def test_balance_of_pseudo_labels(write_labels) -> None:
    labels = write_labels(
        [[("a", [0, 0, 1], 2), ("b", [3], None)], [("c", [], 2), ("d", [0], 2), ("e", [0], 1)]]
    )
    check = pretraining_balance(labels, LIMITS, 5)
    assert check.counts["comments_largest"] == pytest.approx(4 / 6)
    assert check.counts["comments_used"] == 3
    assert check.counts["comments_clusters"] == 4
    assert check.counts["comments_normalised_entropy"] == pytest.approx(entropy([4, 1, 0, 1]) / np.log(4))
    assert check.counts["reactions_largest"] == 0.75
    assert check.verdict == "warning"
    assert [e.first for e in check.examples] == ["comments cluster 0", "reactions cluster 2"]
    wide = IntegrityLimits(largest_cluster=0.8)
    assert pretraining_balance(labels, wide, 5).verdict == "ok"


def test_labels_of_one_signal_only(write_labels) -> None:
    check = pretraining_balance(
        write_labels([[("a", [], 0), ("b", [], 1)]], comments=0, reactions=2), LIMITS, 5
    )
    assert check.verdict == "ok"
    assert check.counts["reactions_normalised_entropy"] == pytest.approx(1)
    assert not any(name.startswith("comments") for name in check.counts)
