"""The compiled halves of a step against NumPy's product and torch's optimiser."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vise_core.evaluate.linear.gram_kernels import Heads, row_products, sgd_step
from vise_core.threads import compiled_threads


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    splits=st.integers(1, 3),
    batch=st.integers(1, 13),
    heads=st.integers(1, 13),
    columns=st.integers(1, 50),
    threads=st.integers(1, 2),
)
def test_products_are_those_of_the_chosen_rows(seed, splits, batch, heads, columns, threads) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers: whatever the order in which they are added, the sums are exact.
    table = rng.integers(-9, 9, (20, columns)).astype(np.float32)
    weights = rng.integers(-9, 9, (splits, heads, columns)).astype(np.float32)
    rows = rng.integers(0, 20, (splits, batch))
    out = np.full((splits, heads, batch), np.nan, np.float32)
    with compiled_threads(threads):
        row_products(table, rows, weights, out)
    np.testing.assert_array_equal(out, weights @ table[rows].transpose(0, 2, 1))


def heads_of(weights, moments, rates, decays, momentum) -> Heads:
    """Heads whose biases no step of the coefficients reads."""
    bias = np.zeros((*weights.shape[:2], weights.shape[2] + 1), np.float32)
    return Heads(weights, moments, bias, bias, rates, decays, np.float32(momentum))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    splits=st.integers(1, 3),
    rows=st.integers(1, 4),
    columns=st.integers(1, 40),
    batch=st.integers(1, 12),
    momentum=st.sampled_from([0.0, 0.9]),
)
def test_a_step_is_that_of_torch(seed, splits, rows, columns, batch, momentum) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(splits, 2, rows, columns)).astype(np.float32)
    rates, decays = (rng.uniform(0, 0.5, (splits, 2)).astype(np.float32) for _ in range(2))
    slow = [[torch.nn.Parameter(torch.from_numpy(w.copy())) for w in split] for split in weights]
    optimizer = torch.optim.SGD(
        [
            {"params": [parameter], "lr": float(rate), "weight_decay": float(decay)}
            for of_split, *of_points in zip(slow, rates, decays, strict=True)
            for parameter, rate, decay in zip(of_split, *of_points, strict=True)
        ],
        lr=0.1,
        momentum=momentum,
    )
    fast, moments = weights.copy(), np.zeros_like(weights)
    for _ in range(3):
        # A column may come twice.
        at = rng.integers(0, columns, (splits, batch))
        slopes = rng.normal(size=(splits, 2, rows, batch)).astype(np.float32)
        for i, of_split in enumerate(slow):
            for parameter, slope in zip(of_split, torch.from_numpy(slopes[i]), strict=True):
                parameter.grad = torch.zeros(rows, columns).index_add(1, torch.from_numpy(at[i]), slope)
        optimizer.step()
        sgd_step(heads_of(fast, moments, rates, decays, momentum), slopes, at)
    expected = np.stack([[parameter.detach().numpy() for parameter in of_split] for of_split in slow])
    np.testing.assert_allclose(fast, expected, atol=1e-5, rtol=1e-5)


def test_what_has_diverged_stays_so() -> None:
    out = np.zeros((1, 1, 2), np.float32)
    table = np.array([[np.nan, 1], [1, 1]], np.float32)
    row_products(table, np.array([[0, 1]]), np.ones((1, 1, 2), np.float32), out)
    assert np.isnan(out[0, 0, 0])
    assert out[0, 0, 1] == 2
    weights, moments = np.full((1, 1, 1, 2), np.inf, np.float32), np.zeros((1, 1, 1, 2), np.float32)
    half = np.full((1, 1), 0.5, np.float32)
    slopes, columns = np.zeros((1, 1, 1, 1), np.float32), np.zeros((1, 1), np.int64)
    sgd_step(heads_of(weights, moments, half, half, 0.9), slopes, columns)
    assert not np.isfinite(weights).any()
