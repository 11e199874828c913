"""Nearest centroids and k-means of dense rows against brute force in 64 bits, ties and near ties included."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import KMeans, kmeans_plusplus

from vise_core.engagement.clustering import dense, lloyd, nearest_torch
from vise_core.engagement.clustering.dense import DenseIndex
from vise_core.engagement.clustering.lloyd import Assigned, assign, fraction_bits, mean_rows
from vise_core.engagement.clustering.lloyd_dense import (
    dense_means,
    dense_sums,
    fit_dense,
    mean_variance,
    plus_plus_dense,
    unit_dense,
)
from vise_core.engagement.clustering.nearest_torch import DenseTorchIndex


def brute_force(rows: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every distance in 64 bits, added up in the order of columns; the first nearest wins."""
    distances = np.zeros((len(rows), len(centroids)))
    for x, c in zip(rows.T.astype(np.float64), centroids.T.astype(np.float64), strict=True):
        distances += (x[:, None] - c) ** 2
    return distances.argmin(axis=1), distances.min(axis=1)


def step_of(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move each value by at most one unit in its last place."""
    towards = rng.choice([-np.inf, 0, np.inf], values.shape).astype(np.float32)
    return np.where(towards == 0, values, np.nextafter(values, towards))


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Rows between, beside and on centroids, which come twice or differ by the last bit of a 32-bit number."""
    d, k, n = draw(st.integers(1, 70)), draw(st.integers(1, 100)), draw(st.integers(1, 40))
    scale = draw(st.sampled_from([1e-30, 1e-20, 1e-3, 1.0, 1e4, 1e18, 1e25]))
    shift = draw(st.sampled_from([0.0, 1.0, 100.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    few = rng.choice([0.0, 0.5, 1.0, 1 / 3, -0.7], (max(1, k // 3), d)) + shift * rng.normal(size=d)
    centroids = (scale * few[rng.integers(0, len(few), k)]).astype(np.float32)
    some = rng.random(k) < 0.5
    centroids[some] = step_of(centroids[some], rng)
    one, other = rng.integers(0, k, (2, n))
    rows = (centroids[one] / 2 + centroids[other] / 2).astype(np.float32)
    some = rng.random(n) < 0.5
    rows[some] = step_of(rows[some], rng)
    far = rng.random(n) < 0.2
    rows[far] *= np.float32(draw(st.sampled_from([1e-6, 1.0, 1e3])))
    return rows, centroids


@settings(max_examples=300, deadline=None)
@given(problems(), st.sampled_from([1, 2]))
def test_labels_and_distances_are_those_of_brute_force(problem, threads: int) -> None:
    rows, centroids = problem
    labels, squared = DenseIndex.build(centroids).nearest(rows, threads=threads)
    expected, distances = brute_force(rows, centroids)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(squared, distances)


@settings(max_examples=300, deadline=None)
@given(problems())
def test_scores_in_32_bits_lie_within_half_the_margin(problem) -> None:
    rows, centroids = problem
    index = DenseIndex.build(centroids)
    margins = index.margins(rows)
    bounded = np.isfinite(margins)
    wide, far = rows.astype(np.longdouble), centroids.astype(np.longdouble)
    exact = wide @ far.T - (far**2).sum(axis=1) / 2
    with np.errstate(all="ignore"):
        scores = (rows @ index.table - index.half_norms)[:, : len(centroids)]
        backwards = (rows[:, ::-1] @ index.table[::-1] - index.half_norms)[:, : len(centroids)]
    for found in (scores, backwards):
        assert (abs(found - exact)[bounded] <= margins[bounded, None] / 2).all()


@settings(max_examples=100, deadline=None)
@given(problems(), st.lists(st.integers(0, 40), max_size=4), st.sampled_from([1, 3, 512]))
def test_blocks_change_no_bit(problem, cuts: list[int], rows_at_once: int) -> None:
    rows, centroids = problem
    index = DenseIndex.build(centroids)
    labels, squared = index.nearest(rows)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [index.nearest(rows[a:b], threads=2) for a, b in pairwise(edges)]
    assert np.concatenate([part[0] for part in parts]).tobytes() == labels.tobytes()
    assert np.concatenate([part[1] for part in parts]).tobytes() == squared.tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_torch, "SCORES_BYTES", 4 * len(centroids) * rows_at_once)
        on_device = DenseTorchIndex.of(index, "cpu").nearest(rows)
    assert on_device[0].tobytes() == labels.tobytes()
    assert on_device[1].tobytes() == squared.tobytes()


def test_many_rows_over_many_blocks_and_threads() -> None:
    rng = np.random.default_rng(0)
    rows = unit_dense(rng.normal(size=(5 * dense.ROWS + 3, 48)).astype(np.float32))
    centroids = unit_dense(rng.normal(size=(200, 48)).astype(np.float32))
    for threads in (1, 2):
        labels, squared = DenseIndex.build(centroids).nearest(rows, threads=threads)
        expected, distances = brute_force(rows, centroids)
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(squared, distances)


def test_a_device_with_reduced_precision_is_told_to_be_exact() -> None:
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        seen = []
        rows = np.eye(3, dtype=np.float32)
        index = DenseTorchIndex.of(DenseIndex.build(rows), "cpu")
        with pytest.MonkeyPatch.context() as patch:
            compute = DenseTorchIndex._scores
            patch.setattr(
                DenseTorchIndex,
                "_scores",
                lambda self, part: (seen.append(torch.get_float32_matmul_precision()), compute(self, part))[
                    1
                ],
            )
            assert index.nearest(rows)[0].tolist() == [0, 1, 2]
        assert seen == ["highest"]
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)


def test_rows_of_another_width_are_rejected() -> None:
    with pytest.raises(ValueError, match="rows have 4 columns, the centroids 3"):
        DenseIndex.build(np.eye(3, dtype=np.float32)).nearest(np.ones((2, 4), np.float32))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(1)
    topics = rng.normal(size=(60, 24))
    return unit_dense(
        (topics[rng.integers(0, 60, 3000)] + 0.8 * rng.normal(size=(3000, 24))).astype(np.float32)
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_starts_and_ends_where_scikit_learn_does(rows, seed: int) -> None:
    _, expected = kmeans_plusplus(rows.astype(np.float64), 40, random_state=seed)
    np.testing.assert_array_equal(plus_plus_dense(rows, 40, np.random.RandomState(seed)), expected)
    reference = KMeans(40, n_init=1, random_state=seed, max_iter=50, tol=1e-4).fit(rows.astype(np.float64))
    centroids, iterations = fit_dense(rows, 40, seed, max_iter=50, tol=1e-4)
    assert iterations == reference.n_iter_
    np.testing.assert_allclose(centroids, reference.cluster_centers_, atol=1e-6)


@pytest.mark.parametrize("spherical", [False, True])
def test_threads_and_the_device_change_no_bit(rows, spherical: bool, monkeypatch) -> None:
    first = fit_dense(rows, 40, 0, max_iter=9, tol=0, spherical=spherical, threads=1)
    # The class of the GPU's path, with torch's products on the processor.
    of = DenseTorchIndex.of
    monkeypatch.setattr(DenseTorchIndex, "of", lambda index, device: of(index, "cpu"))
    for options in ({"threads": 2}, {"threads": 2, "device": "cuda"}):
        again = fit_dense(rows, 40, 0, max_iter=9, tol=0, spherical=spherical, **options)
        assert again[0].tobytes() == first[0].tobytes()
        assert again[1] == first[1]


def test_equal_rows_are_one_start() -> None:
    rows = np.repeat(np.random.default_rng(2).normal(size=(9, 30)).astype(np.float32), 50, axis=0)
    chosen = plus_plus_dense(rows, 9, np.random.RandomState(0), threads=2)
    assert len(np.unique(rows[chosen], axis=0)) == 9


def test_a_start_on_a_sample_still_fits_every_row(rows, monkeypatch) -> None:
    monkeypatch.setattr(lloyd, "INIT_ROWS", 200)
    centroids, _ = fit_dense(rows, 40, 0, max_iter=50, tol=0)
    labels, squared = DenseIndex.build(centroids).nearest(rows)
    whole = KMeans(40, n_init=1, random_state=0, max_iter=50, tol=0).fit(rows)
    assert np.bincount(labels, minlength=40).min() > 0
    assert squared.sum() < 1.08 * whole.inertia_


@settings(max_examples=100, deadline=None)
@given(problems(), st.sampled_from([1, 2]))
def test_new_centroids_are_those_of_sparse_rows(problem, threads: int) -> None:
    rows, centroids = problem
    bits = fraction_bits(rows)
    by_words = assign(sparse.csr_matrix(rows), sparse.csr_matrix(centroids), bits=bits)
    sums = dense_sums(rows, by_words.labels, len(centroids), bits=bits, threads=threads)
    np.testing.assert_array_equal(sums, by_words.sums.toarray())
    means = dense_means(rows, Assigned(by_words.labels, by_words.squared, sums), bits)
    np.testing.assert_array_equal(means, mean_rows(sparse.csr_matrix(rows), by_words, bits).toarray())


def test_the_mean_variance_is_numpys(rows) -> None:
    assert mean_variance(rows) == pytest.approx(rows.astype(np.float64).var(axis=0).mean(), rel=1e-12)


def test_each_pass_reports_its_inertia_and_may_end_the_fit(rows) -> None:
    reported: list[float] = []
    _, iterations = fit_dense(
        rows,
        40,
        0,
        max_iter=50,
        tol=0,
        on_pass=lambda number, inertia: reported.append(inertia) or number == 4,
    )
    assert iterations == 3
    assert len(reported) == 4
    assert reported == sorted(reported, reverse=True)
