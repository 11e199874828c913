import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vise_core.errors import BadInput
from vise_core.specs.tasks import SplitSpec
from vise_core.tasks import random_splits, task_splits
from vise_core.tasks.records import LabelledImages


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
