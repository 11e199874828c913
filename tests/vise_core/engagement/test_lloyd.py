"""k-means over sparse rows against scikit-learn's on the same rows with the same seed."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.preprocessing import normalize

from vise_core.engagement import lloyd
from vise_core.engagement.lloyd import fit_sparse, mean_rows, plus_plus, unit_rows


@pytest.fixture(scope="module")
def rows() -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    found = sparse.random(3000, 300, density=0.02, format="csr", dtype=np.float32, random_state=rng)
    return found[np.diff(found.indptr) > 0]


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


@pytest.mark.parametrize("spherical", [False, True])
def test_threads_change_no_bit(rows, spherical: bool) -> None:
    first, second = (
        fit_sparse(rows, 40, 0, max_iter=9, tol=0, spherical=spherical, threads=threads)[0]
        for threads in (1, 2)
    )
    for part in ("indptr", "indices", "data"):
        assert getattr(first, part).tobytes() == getattr(second, part).tobytes()


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
    means = mean_rows(rows, labels, squared, 3).toarray()
    np.testing.assert_allclose(means, [[0.5, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 9]])


def test_unit_rows_leave_empty_rows_empty() -> None:
    found = unit_rows(sparse.csr_matrix(np.array([[3, 4], [0, 0]], dtype=np.float32)))
    np.testing.assert_allclose(found.toarray(), [[0.6, 0.8], [0, 0]])
