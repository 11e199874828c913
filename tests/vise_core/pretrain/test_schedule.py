"""App. C.1: base_lr/256 x batch, warm-up from 0 over 5 %, then steps or even decay; MoCo-v2's half cosine."""

import math

import pytest

from vise_core.pretrain.schedule import learning_rate
from vise_core.specs.pretrain import CosineDecay, EvenDecay, PretrainSpec


def test_imagenet_steps() -> None:
    spec = PretrainSpec(batch=1920)
    peak = 0.75  # 0.1 / 256 x 1920
    expected = {0: 0.0, 1: 0.015, 25: 0.375, 49: 0.735, 50: peak, 299: peak}
    expected |= {300: 0.075, 599: 0.075, 600: 0.0075, 899: 0.0075, 900: 0.00075, 999: 0.00075}
    assert {i: learning_rate(i, 1000, spec) for i in expected} == pytest.approx(expected)


def test_ten_even_halvings() -> None:
    spec = PretrainSpec(batch=256, decay=EvenDecay())
    expected = {0: 0.0, 54: 0.0981818, 55: 0.1, 99: 0.1, 100: 0.05, 199: 0.05, 200: 0.025}
    expected |= {999: 0.1 / 2**9, 1000: 0.1 / 2**10, 1099: 0.1 / 2**10}
    assert {i: learning_rate(i, 1100, spec) for i in expected} == pytest.approx(expected)


def test_no_warmup_starts_at_the_peak() -> None:
    assert learning_rate(0, 10, PretrainSpec(batch=128, warmup=0)) == pytest.approx(0.05)


def test_resnext_batch() -> None:
    assert learning_rate(100, 1000, PretrainSpec(batch=1536)) == pytest.approx(0.6)


def test_half_a_cosine_held_over_each_epoch() -> None:
    """As MoCo-v2's authors: 0.03 x (1 + cos(pi x epoch / epochs)) / 2 at batch 256."""
    spec = PretrainSpec(batch=256, base_lr=0.03, epochs=4, warmup=0, decay=CosineDecay())
    rates = [learning_rate(i, 40, spec) for i in range(40)]
    half = math.sqrt(0.5)
    of_epoch = [0.03, 0.03 * (1 + half) / 2, 0.015, 0.03 * (1 - half) / 2]
    assert rates == pytest.approx([rate for rate in of_epoch for _ in range(10)])


def test_half_a_cosine_at_each_iteration_begins_after_the_warmup() -> None:
    decay = CosineDecay(every="iteration")
    spec = PretrainSpec(batch=256, epochs=4, warmup=0.25, decay=decay)
    rates = {i: learning_rate(i, 80, spec) for i in (0, 10, 19, 20, 40, 50, 60, 79)}
    expected = {0: 0, 10: 0.05, 19: 0.095, 20: 0.1, 40: 0.075, 50: 0.05, 60: 0.025}
    expected[79] = 0.05 * (1 + math.cos(math.pi * 59 / 60))
    assert rates == pytest.approx(expected)
    assert learning_rate(25, 80, spec.model_copy(update={"decay": CosineDecay()})) == pytest.approx(0.1)
