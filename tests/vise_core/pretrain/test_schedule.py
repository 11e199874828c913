"""App. C.1: base_lr/256 x batch, warm-up from 0 over 5 %, then steps or even decay."""

import pytest

from vise_core.pretrain.schedule import learning_rate
from vise_core.specs.pretrain import EvenDecay, PretrainSpec


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
