"""Heads as combinations of the training features against the same heads on the features."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vise_core.evaluate.linear.gram import GRAM_BYTES, GramBatch, gram_pays
from vise_core.evaluate.linear.heads import HeadBatch
from vise_core.tasks import Split

DECAYS, RATES = [0.1, 0.0], [0.5, 0.05]
IMAGES = 30


def example(
    seed: int, dim: int, classes: int, sizes: list[int]
) -> tuple[torch.Tensor, torch.Tensor, list[Split]]:
    """Features (some rows twice, some all zeros), labels, and splits with so many training images."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(IMAGES, dim)).astype(np.float32)
    features[:3], features[3:6] = 0, features[6:9]
    orders = [rng.permutation(IMAGES) for _ in sizes]
    splits = [
        Split(order[:size], order[24:27], order[27:]) for order, size in zip(orders, sizes, strict=True)
    ]
    return torch.from_numpy(features), torch.from_numpy(rng.integers(0, classes, IMAGES)), splits


def train(batch: HeadBatch, features: torch.Tensor, labels: torch.Tensor, orders: list[np.ndarray]) -> None:
    """One step on the first images of each split."""
    size = max(map(len, orders))
    indices = np.stack([np.append(order, np.repeat(order[:1], size - len(order))) for order in orders])
    rates = torch.tensor([RATES[: batch.weight.shape[1]]] * len(orders))
    rows = batch.columns(indices) if isinstance(batch, GramBatch) else features[torch.from_numpy(indices)]
    batch.step(rows, labels[torch.from_numpy(indices)], rates, [len(order) for order in orders])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    dim=st.integers(1, 40),
    classes=st.integers(2, 4),
    sizes=st.lists(st.integers(1, 24), min_size=1, max_size=3),
    batch=st.integers(1, 30),
    momentum=st.sampled_from([0.0, 0.9]),
)
def test_combinations_stand_for_the_heads_that_training_on_features_gives(
    seed, dim, classes, sizes, batch, momentum
) -> None:
    sizes = sorted(sizes, reverse=True)
    features, labels, splits = example(seed, dim, classes, sizes)
    torch.manual_seed(seed)
    heads = [nn.Linear(dim, classes) for _ in splits]
    slow = HeadBatch(heads, DECAYS, "sgd", momentum)
    fast = GramBatch(heads, DECAYS, momentum, features, splits)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        orders = [rng.permutation(split.train)[:batch] for split in splits]
        for heads_ in (slow, fast):
            train(heads_, features, labels, orders)
    heads_on_features = fast.on_features()
    torch.testing.assert_close(heads_on_features.weight, slow.weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(heads_on_features.bias, slow.bias, atol=1e-4, rtol=1e-4)
    for number, split in enumerate(splits):
        # All that a softmax sees of them: differences between classes.
        val = slow.logits(number, features[torch.from_numpy(split.val)])
        judged = fast.val_logits(number)
        torch.testing.assert_close(judged.softmax(-1), val.softmax(-1), atol=1e-4, rtol=1e-4)


def test_losses_are_those_on_features() -> None:
    features, labels, splits = example(1, 8, 3, [20, 11])
    heads, orders = [nn.Linear(8, 3), nn.Linear(8, 3)], [split.train[:12] for split in splits]
    size = max(map(len, orders))
    indices = np.stack([np.append(order, np.repeat(order[:1], size - len(order))) for order in orders])
    at, sizes, rates = torch.from_numpy(indices), [12, 11], torch.tensor([RATES] * 2)
    slow = HeadBatch(heads, DECAYS, "sgd", 0.9)
    fast = GramBatch(heads, DECAYS, 0.9, features, splits)
    for _ in range(3):
        expected = slow.step(features[at], labels[at], rates, sizes)
        torch.testing.assert_close(fast.step(fast.columns(indices), labels[at], rates, sizes), expected)


def test_training_goes_on_from_a_state_exactly_and_without_the_heads_that_were_dropped() -> None:
    features, labels, splits = example(2, 8, 3, [20, 11])
    heads, orders = [nn.Linear(8, 3), nn.Linear(8, 3)], [split.train[:9] for split in splits]
    through, resumed = (GramBatch(heads, DECAYS, 0.9, features, splits) for _ in range(2))
    train(through, features, labels, orders)
    for batch in (through, resumed):
        batch.keep([[0], [0]])
    for split in range(2):
        resumed.load_state(split, through.state(split))
    for batch in (through, resumed):
        train(batch, features, labels, orders)
    assert torch.equal(through.on_features().weight, resumed.on_features().weight)
    assert torch.equal(through.on_features().bias, resumed.on_features().bias)
    assert resumed.val_logits(1).shape == (1, 3, 3)


def splits_of(images: int, count: int) -> list[Split]:
    train, val = images * 7 // 10, images // 10
    rng = np.random.default_rng(0)
    return [Split(*np.split(rng.permutation(images), [train, train + val])) for _ in range(count)]


@pytest.mark.parametrize(
    ("images", "count", "features", "classes", "epochs", "pays"),
    [
        # UnbiasedEmotion under a ResNet-50, five splits.
        (3045, 5, 2048, 6, 100, True),
        # More than twice as many images as features: a row of the Gram matrix is longer than both products.
        (6000, 1, 2048, 6, 100, False),
        # The matrix itself would cost more than a short training.
        (3045, 1, 2048, 2, 1, False),
        # More matrices than there is memory for.
        (3045, 80, 2048, 6, 100, False),
        (100, 1, 2048, 1, 100, False),
    ],
)
def test_combinations_are_taken_where_they_are_less_work(images, count, features, classes, epochs, pays):
    assert gram_pays(splits_of(images, count), features, 9, classes, epochs) is pays
    assert GRAM_BYTES == 2**30


def test_torch_keeps_its_number_of_threads() -> None:
    code = (
        "import torch\n"
        "from vise_core.evaluate.linear.gram import _torch_threads\n"
        "torch.set_num_threads(1)\n"
        "assert (_torch_threads(), torch.get_num_threads()) == (1, 1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
