import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vise_core.errors import BadInput
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.recipes.ablations import ABLATIONS
from vise_core.specs.stages import STAGES
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks import random_splits, task_splits
from vise_core.tasks.records import LabelledImages
from vise_core.tasks.splits import stratified_splits


def test_unbiased_emotion_has_the_sizes_of_table_8():
    splits = random_splits(3045, SplitSpec())
    assert [split.sizes for split in splits] == [(2131, 304, 610)] * 5


def test_shares_are_decimal_so_that_29_percent_of_100_is_29():
    assert random_splits(100, SplitSpec(count=1, train=0.29, val=0.57))[0].sizes == (29, 57, 14)


@given(
    n=st.integers(20, 400), train=st.integers(5, 80), val=st.integers(5, 14), seed=st.integers(0, 2**31 - 1)
)
def test_a_split_uses_every_image_once(n: int, train: int, val: int, seed: int):
    for split in random_splits(n, SplitSpec(count=2, train=train / 100, val=val / 100, seed=seed)):
        assert sorted(np.concatenate(split)) == list(range(n))


def test_a_split_depends_on_seed_and_number_but_not_on_how_many_are_asked_for():
    few, many = random_splits(50, SplitSpec(count=2)), random_splits(50, SplitSpec(count=7))
    for one, other in zip(few, many, strict=False):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(few[0].train, few[1].train)
    assert not np.array_equal(few[0].train, random_splits(50, SplitSpec(seed=1))[0].train)


def test_too_few_images_are_refused():
    with pytest.raises(BadInput, match="9 images are too few"):
        random_splits(9, SplitSpec())


def of_class(labels: np.ndarray, split) -> list[list[int]]:
    """Images of each class in each part."""
    return [np.bincount(labels[part], minlength=labels.max() + 1).tolist() for part in split]


@pytest.mark.parametrize(
    ("counts", "parts"),
    [
        # 70/10/20 of 30, 20, 10: 21 + 14 + 7, 3 + 2 + 1, 6 + 4 + 2; every share is whole.
        ((30, 20, 10), [[21, 14, 7], [3, 2, 1], [6, 4, 2]]),
        # 100 images 99:1 in classes: 69.3 + 0.7 of 70 in train: the larger remainder has the image that is left over.
        ((99, 1), [[69, 1], [10, 0], [20, 0]]),
        # Train: 7 of 11 (floor 7.7): 3.5, 2.8, 1.4 → 3, 2, 1, and the one left over to .8. Val: 1 of 11 (floor 1.1):
        # .5, .4, .2 → the first; the other classes of three or more get one too, from their largest part.
        ((5, 4, 2), [[3, 2, 1], [1, 1, 0], [1, 1, 1]]),
        # Three of each: one in every part. 9 images: train 6 (2.1 each), val 0 → too few as a whole; so 12 of 3 each:
        ((3, 3, 3, 3), [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]),
    ],
)
def test_stratified_sizes_are_those_of_the_largest_remainder(counts: tuple[int, ...], parts: list[list[int]]):
    labels = np.repeat(np.arange(len(counts)), counts)
    for split in stratified_splits(labels, SplitSpec(count=3)):
        assert of_class(labels, split) == parts


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 40), min_size=2, max_size=8).filter(lambda c: sum(c) >= 20),
    train=st.integers(5, 80),
    val=st.integers(5, 14),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_stratified_split_uses_every_image_once_and_keeps_the_shares(
    counts: list[int], train: int, val: int, seed: int
):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    spec = SplitSpec(count=2, train=train / 100, val=val / 100, seed=seed)
    for split in stratified_splits(labels, spec):
        assert sorted(np.concatenate(split)) == list(range(len(labels)))
        for label, n in enumerate(counts):
            inside = [int((labels[part] == label).sum()) for part in split]
            if n >= 3:
                assert min(inside) >= 1
                shares = [train / 100, val / 100, 1 - (train + val) / 100]
                # One by rounding, one more for a class that would be absent elsewhere; test takes what both leave.
                assert all(abs(a - share * n) <= 4 for a, share in zip(inside, shares, strict=True))
            elif n:
                assert inside == [1, 0, n - 1]


def test_a_stratified_split_depends_on_seed_and_number_but_not_on_how_many_are_asked_for():
    labels = np.repeat([0, 1], [60, 40])
    few, many = (stratified_splits(labels, SplitSpec(count=count)) for count in (2, 7))
    for one, other in zip(few, many, strict=False):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(few[0].train, few[1].train)
    assert not np.array_equal(few[0].train, stratified_splits(labels, SplitSpec(seed=1))[0].train)


def test_classes_too_small_for_three_parts_are_refused_with_the_way_out():
    with pytest.raises(
        BadInput, match=r"20 images of 10 classes .* 10 / 0 / 10; set splits.stratify to false"
    ):
        stratified_splits(np.repeat(np.arange(10), 2), SplitSpec())


def test_new_specs_are_stratified_and_the_papers_are_not():
    assert SplitSpec().stratify
    for name, values in STAGES["evaluate"].presets.items():
        assert not EvaluateSpec.model_validate(values).splits.stratify, name
    for name, make in ABLATIONS.items():
        for sample in (False, True):
            for step in make(sample).steps.values():
                if step.stage == "evaluate":
                    assert step.spec["splits"]["stratify"] is False, name


def test_val_is_held_out_of_train_by_class():
    names = ["train"] * 40 + ["test"] * 4
    images = published(*names)
    labels = np.array([0] * 36 + [1] * 4 + [0, 0, 1, 1])
    images = LabelledImages(images.name, images.root, images.paths, labels, images.classes, images.published)
    for split in task_splits(images, SplitSpec(count=3)):
        # floor(.1 · 40) = 4 of 3.6 and 0.4: 3 and the larger remainder; the class of four has its one besides.
        assert of_class(labels, split) == [[32, 3], [4, 1], [2, 2]]
    whole = task_splits(images, SplitSpec(count=3, stratify=False))
    assert [split.sizes for split in whole] == [(36, 4, 4)] * 3


def published(*names: str) -> LabelledImages:
    from pathlib import Path

    paths = tuple(Path(f"{i}.png") for i in range(len(names)))
    return LabelledImages("t", Path(), paths, np.zeros(len(names), np.int64), ("a", "b"), names)  # type: ignore[arg-type]


def test_a_published_split_is_used_as_it_is_and_once():
    (split,) = task_splits(published("train", "test", "val", "train"), SplitSpec(count=5))
    assert [part.tolist() for part in split] == [[0, 3], [2], [1]]


def test_without_a_published_val_it_is_held_out_of_train_at_random():
    splits = task_splits(published(*["train"] * 20, *["test"] * 3), SplitSpec(count=3))
    assert [split.sizes for split in splits] == [(18, 2, 3)] * 3
    assert all(sorted([*split.train, *split.val]) == list(range(20)) for split in splits)
    assert len({tuple(split.val) for split in splits}) > 1


def test_a_published_split_without_test_has_an_empty_one():
    assert task_splits(published("train", "val"), SplitSpec())[0].sizes == (1, 1, 0)


@pytest.mark.parametrize("names", [("val", "test"), ("train", "train")])
def test_a_published_split_that_cannot_be_used_is_refused(names: tuple[str, ...]):
    with pytest.raises(BadInput, match="published split has n"):
        task_splits(published(*names), SplitSpec())
