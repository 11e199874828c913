from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.cluster import KMeans, MiniBatchKMeans, kmeans_plusplus

from vise_core.engagement.clustering import kmeans, lloyd, lloyd_dense
from vise_core.engagement.clustering.kmeans import fit_kmeans, nearest_centroid
from vise_core.errors import BadInput
from vise_core.specs.cluster import KMeansSpec


def dense(centroids) -> np.ndarray:
    return centroids.toarray() if sparse.issparse(centroids) else centroids


SMALL = st.floats(-4, 4, width=32)


@pytest.fixture
def blobs() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(c, 0.3, (60, 6)) for c in (-2, 0, 3)]).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_labels_equal_scikit_learns(blobs, form) -> None:
    rows = form(np.abs(blobs) * (np.abs(blobs) > 0.5))
    reference = KMeans(5, n_init=1, random_state=11, max_iter=50).fit(rows)
    ours = fit_kmeans(rows, KMeansSpec(k=5), seed=11, name="comments")
    np.testing.assert_array_equal(ours.labels, reference.predict(rows))
    assert ours.inertia == pytest.approx(reference.inertia_, rel=1e-4)


@given(arrays(np.float32, (7, 3), elements=SMALL), arrays(np.float32, (4, 3), elements=SMALL))
def test_nearest_centroid_is_the_brute_force_one(rows, centroids) -> None:
    distances = ((rows[:, None].astype(np.float64) - centroids[None]) ** 2).sum(-1)
    labels, squared = nearest_centroid(rows, centroids)
    np.testing.assert_allclose(squared, distances.min(axis=1), atol=1e-9)
    np.testing.assert_allclose(distances[np.arange(7), labels], distances.min(axis=1), atol=1e-9)
    by_index, _ = nearest_centroid(sparse.csr_matrix(rows), centroids)
    np.testing.assert_allclose(distances[np.arange(7), by_index], distances.min(axis=1), atol=1e-9)


def test_ties_and_empty_rows_go_to_the_lowest_id() -> None:
    centroids = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    rows = sparse.csr_matrix(np.array([[1, 0], [0.5, 0.5], [0, 0]], dtype=np.float32))
    assert nearest_centroid(rows, centroids)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("algorithm", kmeans.ALGORITHMS)
def test_each_algorithm_finds_the_groups_and_repeats_itself(blobs, algorithm) -> None:
    rows = blobs + 5 * np.eye(3, 6, dtype=np.float32).repeat(60, axis=0)
    spec = KMeansSpec(k=3, algorithm=algorithm)
    first, second = (fit_kmeans(rows, spec, seed=1, name="comments") for _ in range(2))
    assert [len(set(first.labels[i : i + 60].tolist())) for i in (0, 60, 120)] == [1, 1, 1]
    assert len(set(first.labels.tolist())) == 3
    assert first.centroids.tobytes() == second.centroids.tobytes()


def test_spherical_centroids_lie_on_the_sphere_and_none_stays_empty() -> None:
    rng = np.random.default_rng(0)
    rows = sparse.random(300, 40, density=0.1, format="csr", dtype=np.float32, random_state=rng)
    rows = rows[np.diff(rows.indptr) > 0]
    clustering = fit_kmeans(rows, KMeansSpec(k=30, algorithm="spherical"), seed=0, name="comments")
    np.testing.assert_allclose(np.linalg.norm(clustering.centroids.toarray(), axis=1), 1, atol=1e-5)
    assert np.bincount(clustering.labels, minlength=30).min() > 0


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_mini_batches_end_where_scikit_learns_do(blobs, form) -> None:
    rows = form(blobs)
    reference = MiniBatchKMeans(4, n_init=1, max_iter=50, tol=1e-4, batch_size=1024, random_state=5).fit(rows)
    ours = fit_kmeans(rows, KMeansSpec(k=4, algorithm="minibatch"), seed=5, name="comments")
    np.testing.assert_allclose(dense(ours.centroids), reference.cluster_centers_, rtol=1e-5)
    by_hand = ((blobs - dense(ours.centroids)[ours.labels]) ** 2).sum()
    assert ours.inertia == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_spherical_is_lloyds_by_cosine(blobs, form) -> None:
    unit = blobs.astype(np.float64) / np.linalg.norm(blobs, axis=1, keepdims=True)
    centroids, _ = kmeans_plusplus(unit.astype(np.float32), 4, random_state=3)
    for _ in range(100):
        labels = (unit @ centroids.T).argmax(axis=1)
        means = np.stack([unit[labels == cluster].mean(axis=0) for cluster in range(4)])
        centroids = means / np.linalg.norm(means, axis=1, keepdims=True)
    spec = KMeansSpec(k=4, algorithm="spherical", max_iter=100, tol=0)
    ours = fit_kmeans(form(blobs), spec, seed=3, name="comments")
    np.testing.assert_allclose(dense(ours.centroids), centroids, atol=1e-5)
    np.testing.assert_array_equal(ours.labels, labels)


@pytest.mark.parametrize("algorithm", kmeans.ALGORITHMS)
def test_sparse_and_dense_rows_give_the_same_clusters(blobs, algorithm) -> None:
    spec = KMeansSpec(k=3, algorithm=algorithm)
    one, two = (
        fit_kmeans(form(blobs), spec, seed=2, name="comments") for form in (np.asarray, sparse.csr_matrix)
    )
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_allclose(one.centroids, dense(two.centroids), atol=1e-4)


@pytest.mark.parametrize(
    ("form", "algorithm"), list(product([np.asarray, sparse.csr_matrix], ["kmeans", "spherical"]))
)
def test_clusters_that_start_at_one_place_are_seeded_anew(blobs, form, algorithm, monkeypatch) -> None:
    monkeypatch.setattr(
        lloyd_dense, "plus_plus_dense", lambda rows, k, random, *, threads: np.zeros(k, dtype=np.int64)
    )
    monkeypatch.setattr(lloyd, "plus_plus", lambda rows, k, random: np.zeros(k, dtype=np.int64))
    spec = KMeansSpec(k=6, algorithm=algorithm)
    clustering = fit_kmeans(form(blobs), spec, seed=0, name="comments")
    assert np.bincount(clustering.labels, minlength=6).min() > 0


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_what_an_algorithm_leaves_empty_begins_again_at_the_farthest_row(blobs, form, monkeypatch) -> None:
    def leaves_empty(rows, spec, seed, how):
        return form(np.repeat(blobs[:1], spec.k, axis=0)), 1

    monkeypatch.setitem(kmeans.ALGORITHMS, "minibatch", leaves_empty)
    clustering = fit_kmeans(form(blobs), KMeansSpec(k=5, algorithm="minibatch"), seed=0, name="comments")
    assert np.bincount(clustering.labels, minlength=5).min() > 0
    farthest = blobs[((blobs - blobs[0]) ** 2).sum(axis=1).argmax()]
    np.testing.assert_array_equal(dense(clustering.centroids)[1], farthest)


def test_on_the_sphere_only_directions_are_distinct() -> None:
    rows = np.array([[1, 0], [2, 0], [4, 0], [0, 1]], dtype=np.float32)
    with pytest.raises(BadInput, match="only 2 distinct"):
        fit_kmeans(rows, KMeansSpec(k=3, algorithm="spherical"), seed=0, name="comments")


def test_fewer_distinct_rows_than_clusters_says_how_many() -> None:
    rows = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    with pytest.raises(BadInput, match=r"reactions\.kmeans\.k is 4, but .* only 3 distinct"):
        fit_kmeans(rows, KMeansSpec(k=4), seed=0, name="reactions")
