import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.cluster import KMeans

from vise_core.engagement import kmeans
from vise_core.engagement.kmeans import fit_kmeans, nearest_centroid
from vise_core.errors import BadInput
from vise_core.specs.engagement import KMeansSpec

SMALL = st.floats(-4, 4, width=32)


@pytest.fixture
def blobs() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(c, 0.3, (60, 6)) for c in (-2, 0, 3)]).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_labels_equal_scikit_learns(blobs, form) -> None:
    rows = form(np.abs(blobs) * (np.abs(blobs) > 0.5))
    reference = KMeans(5, n_init=1, random_state=11, max_iter=50).fit(rows)
    ours = fit_kmeans(rows, KMeansSpec(k=5), seed=11, what="comments")
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


def test_chunks_change_nothing(blobs, monkeypatch) -> None:
    whole = nearest_centroid(blobs, blobs[:9])[0]
    monkeypatch.setattr(kmeans, "CHUNK_BYTES", 8 * 9 * 7)
    np.testing.assert_array_equal(nearest_centroid(blobs, blobs[:9])[0], whole)


@pytest.mark.parametrize("algorithm", kmeans.ALGORITHMS)
def test_each_algorithm_finds_the_groups_and_repeats_itself(blobs, algorithm) -> None:
    rows = blobs + 5 * np.eye(3, 6, dtype=np.float32).repeat(60, axis=0)
    spec = KMeansSpec(k=3, algorithm=algorithm)
    first, second = (fit_kmeans(rows, spec, seed=1, what="comments") for _ in range(2))
    assert [len(set(first.labels[i : i + 60].tolist())) for i in (0, 60, 120)] == [1, 1, 1]
    assert len(set(first.labels.tolist())) == 3
    assert first.centroids.tobytes() == second.centroids.tobytes()


def test_spherical_centroids_lie_on_the_sphere_and_none_stays_empty() -> None:
    rng = np.random.default_rng(0)
    rows = sparse.random(300, 40, density=0.1, format="csr", dtype=np.float32, random_state=rng)
    rows = rows[np.diff(rows.indptr) > 0]
    found = fit_kmeans(rows, KMeansSpec(k=30, algorithm="spherical"), seed=0, what="comments")
    np.testing.assert_allclose(np.linalg.norm(found.centroids.toarray(), axis=1), 1, atol=1e-5)
    assert np.bincount(found.labels, minlength=30).min() > 0


def test_fewer_distinct_rows_than_clusters_says_how_many() -> None:
    rows = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    with pytest.raises(BadInput, match=r"reactions\.kmeans\.k is 4, but .* only 3 distinct"):
        fit_kmeans(rows, KMeansSpec(k=4), seed=0, what="reactions")
