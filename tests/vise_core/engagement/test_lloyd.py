"""k-means over sparse rows against scikit-learn's on the same rows with the same seed."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.preprocessing import normalize

from vise_core.engagement.clustering import lloyd, nearest_torch
from vise_core.engagement.clustering.csr import unit_rows
from vise_core.engagement.clustering.inverted import InvertedIndex
from vise_core.engagement.clustering.lloyd import (
    Assigned,
    assign,
    fit_sparse,
    fraction_bits,
    join_blocks,
    mean_rows,
    member_sums,
    plus_plus,
)
from vise_core.engagement.clustering.nearest_torch import TorchIndex


@pytest.fixture(scope="module")
def rows() -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    sparse_rows = sparse.random(3000, 300, density=0.02, format="csr", dtype=np.float32, random_state=rng)
    return sparse_rows[np.diff(sparse_rows.indptr) > 0]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_rows_start(rows, seed: int) -> None:
    # In 64 bits, so that its rounding decides nothing.
    _, expected = kmeans_plusplus(rows.astype(np.float64), 40, random_state=seed)
    np.testing.assert_array_equal(plus_plus(rows, 40, np.random.RandomState(seed)), expected)


@pytest.mark.parametrize("seed", range(3))
def test_it_ends_where_scikit_learn_ends(rows, seed: int) -> None:
    reference = KMeans(40, n_init=1, random_state=seed, max_iter=50, tol=1e-4).fit(rows.astype(np.float64))
    centroids, iterations = fit_sparse(rows, 40, seed, max_iter=50, tol=1e-4)
    assert iterations == reference.n_iter_
    np.testing.assert_allclose(centroids.toarray(), reference.cluster_centers_, atol=1e-6)


def same_bits(one: sparse.csr_matrix, other: sparse.csr_matrix) -> bool:
    return all(
        getattr(one, p).tobytes() == getattr(other, p).tobytes() for p in ("indptr", "indices", "data")
    )


# Few values: ties, equal rows, sums that cancel, and rows, centroids and clusters without any entry.
@st.composite
def problems(draw: st.DrawFn) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    terms, k, n = draw(st.integers(1, 8)), draw(st.integers(1, 90)), draw(st.integers(1, 30))
    values = draw(st.sampled_from([(0.5, 1.0), (1 / 3, 0.1, -0.7), (0.5, -0.5), (1e-6, 1.0, 1e4)]))
    density, seed = draw(st.sampled_from([0.05, 0.3, 0.8])), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)

    def matrix(height: int) -> sparse.csr_matrix:
        filled = rng.random((height, terms)) < density
        return sparse.csr_matrix((rng.choice(values, (height, terms)) * filled).astype(np.float32))

    return matrix(n), matrix(k)


@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from([1, 2]))
def test_new_centroids_are_the_plain_means(problem, threads: int) -> None:
    rows, centroids = problem
    bits, k = fraction_bits(rows), centroids.shape[0]
    assigned = assign(rows, centroids, bits=bits, threads=threads)
    table = rows.toarray().astype(np.float64)
    members = [table[assigned.labels == cluster] for cluster in range(k)]
    sums = np.ldexp(assigned.sums.toarray().astype(np.float64), -bits)
    np.testing.assert_allclose(
        sums, [m.sum(axis=0) for m in members], rtol=1e-12, atol=1e-12 * max(1, abs(table).max())
    )
    means = mean_rows(rows, assigned, bits).toarray()
    if all(len(m) for m in members):
        np.testing.assert_allclose(
            means, [m.mean(axis=0) for m in members], rtol=1e-6, atol=1e-9 * max(1, abs(table).max())
        )


@settings(max_examples=150, deadline=None)
@given(problems(), st.lists(st.integers(0, 30), max_size=4))
def test_blocks_of_rows_add_up_to_the_same_bits_wherever_they_are_cut(problem, cuts: list[int]) -> None:
    rows, centroids = problem
    bits = fraction_bits(rows)
    whole = assign(rows, centroids, bits=bits)
    edges = [0, *sorted(min(cut, rows.shape[0]) for cut in cuts), rows.shape[0]]
    parts = [assign(rows[a:b], centroids, bits=bits) for a, b in pairwise(edges)]
    joined = join_blocks(parts)
    assert joined.labels.tobytes() == whole.labels.tobytes()
    assert joined.squared.tobytes() == whole.squared.tobytes()
    assert same_bits(joined.sums, whole.sums)
    assert same_bits(mean_rows(rows, joined, bits), mean_rows(rows, whole, bits))


@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from([1, 7, 1000]))
def test_torch_finds_the_labels_and_distances_of_the_compiled_code(problem, rows_at_once: int) -> None:
    rows, centroids = problem
    labels, squared = InvertedIndex.build(centroids).nearest(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_torch, "SCORES_BYTES", 4 * centroids.shape[0] * rows_at_once)
        found, distances = TorchIndex.build(centroids, "cpu").nearest(rows)
    assert found.tobytes() == labels.tobytes()
    assert distances.tobytes() == squared.tobytes()


def test_a_relocated_row_changes_the_sums_as_if_it_had_been_labelled_so() -> None:
    rng = np.random.default_rng(3)
    rows = sparse.random(60, 9, density=0.4, format="csr", dtype=np.float32, random_state=rng)
    labels = rng.choice([0, 2, 5], 60).astype(np.int32)
    squared, bits = rng.random(60), fraction_bits(rows)
    assigned = Assigned(labels, squared, member_sums(rows, labels, 6, bits=bits))
    relabelled = labels.copy()
    relabelled[np.argsort(-squared)[:3]] = [1, 3, 4]
    there = Assigned(relabelled, squared, member_sums(rows, relabelled, 6, bits=bits))
    assert same_bits(mean_rows(rows, assigned, bits), mean_rows(rows, there, bits))


@pytest.mark.parametrize("spherical", [False, True])
def test_threads_change_no_bit(rows, spherical: bool) -> None:
    first, second = (
        fit_sparse(rows, 40, 0, max_iter=9, tol=0, spherical=spherical, threads=threads)[0]
        for threads in (1, 2)
    )
    assert same_bits(first, second)


def test_spherical_centroids_are_the_directions_of_their_members(rows) -> None:
    centroids, _ = fit_sparse(rows, 12, 0, max_iter=100, tol=0, spherical=True)
    unit = normalize(rows.astype(np.float64))
    labels = np.asarray((unit @ centroids.T).argmax(axis=1)).ravel()
    sums = np.stack([np.asarray(unit[labels == c].sum(axis=0)).ravel() for c in range(12)])
    np.testing.assert_allclose(centroids.toarray(), normalize(sums), atol=1e-5)


def test_a_start_on_a_sample_still_fits_every_row(rows, monkeypatch) -> None:
    monkeypatch.setattr(lloyd, "INIT_ROWS", 200)
    centroids, _ = fit_sparse(rows, 40, 0, max_iter=50, tol=0)
    labels, squared = lloyd.InvertedIndex.build(centroids).nearest(rows)
    whole = KMeans(40, n_init=1, random_state=0, max_iter=50, tol=0).fit(rows)
    assert np.bincount(labels, minlength=40).min() > 0
    assert squared.sum() < 1.08 * whole.inertia_


def test_an_empty_cluster_takes_the_farthest_row_that_is_not_alone() -> None:
    rows = sparse.csr_matrix(np.diag([1.0, 2, 3, 9]).astype(np.float32))
    labels, squared = np.array([0, 0, 0, 2], dtype=np.int32), np.array([0.1, 0.2, 0.3, 8])
    bits = fraction_bits(rows)
    assigned = Assigned(labels, squared, member_sums(rows, labels, 3, bits=bits))
    means = mean_rows(rows, assigned, bits).toarray()
    np.testing.assert_allclose(means, [[0.5, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 9]])


def test_unit_rows_leave_empty_rows_empty() -> None:
    scaled = unit_rows(sparse.csr_matrix(np.array([[3, 4], [0, 0]], dtype=np.float32)))
    np.testing.assert_allclose(scaled.toarray(), [[0.6, 0.8], [0, 0]])
