"""The inverted index against a plain product: the same labels, ties and empty rows included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from vise_core.engagement.clustering.csr import half_squared_norms
from vise_core.engagement.clustering.inverted import InvertedIndex


def reference(rows: sparse.csr_matrix, centroids: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Every score in 64 bits by scipy, the first best wins."""
    table = centroids.toarray().astype(np.float64)
    half = half_squared_norms(centroids)
    scores = rows.astype(np.float64) @ np.ascontiguousarray(table.T) - half
    squared = ((rows.toarray()[:, None].astype(np.float64) - table[None]) ** 2).sum(-1)
    labels = scores.argmax(axis=1)
    return labels, squared[np.arange(len(labels)), labels]


# Few different values make ties between centroids frequent, and rows and centroids without any entry.
@st.composite
def problems(draw: st.DrawFn) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    terms, k, n = draw(st.integers(1, 12)), draw(st.integers(1, 150)), draw(st.integers(0, 20))
    seed, density = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.02, 0.2, 0.7]))
    values = draw(st.sampled_from([(0.5, 1.0), (1 / 3, 0.1, -0.7), (1e-6, 1.0, 1e4)]))
    rng = np.random.default_rng(seed)

    def matrix(height: int) -> sparse.csr_matrix:
        filled = rng.random((height, terms)) < density
        return sparse.csr_matrix((rng.choice(values, (height, terms)) * filled).astype(np.float32))

    return matrix(n), matrix(k)


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from([1, 2]))
def test_labels_are_those_of_a_plain_product(problem, threads: int) -> None:
    rows, centroids = problem
    labels, squared = InvertedIndex.build(centroids).nearest(rows, threads=threads)
    expected, distances = reference(rows, centroids)
    np.testing.assert_array_equal(labels, expected)
    scale = max(
        1.0, float(abs(rows).max()) if rows.nnz else 0, float(abs(centroids).max()) if centroids.nnz else 0
    )
    np.testing.assert_allclose(squared, distances, atol=1e-9 * scale**2)


def test_words_that_many_and_words_that_few_clusters_know(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    density = np.concatenate([np.full(20, 0.9), np.full(180, 0.01)])
    centroids = sparse.csr_matrix(
        (rng.random((500, 200)) * (rng.random((500, 200)) < density)).astype(np.float32)
    )
    rows = sparse.random(400, 200, density=0.03, format="csr", dtype=np.float32, random_state=rng)
    index = InvertedIndex.build(centroids)
    assert 0 < len(index.dense) < 200, "both kinds of terms must occur"
    expected, _ = reference(rows, centroids)
    np.testing.assert_array_equal(index.nearest(rows)[0], expected)
    np.testing.assert_array_equal(InvertedIndex.build(centroids.toarray()).nearest(rows)[0], expected)


def test_centroids_that_differ_less_than_32_bits_can_tell() -> None:
    centroids = np.full((70, 3), 0.5, dtype=np.float32)
    centroids[65] = np.nextafter(np.float32(0.5), np.float32(1))
    rows = sparse.csr_matrix(np.ones((1, 3), dtype=np.float32))
    assert InvertedIndex.build(centroids).nearest(rows)[0].tolist() == [65]


def test_rows_of_another_vocabulary_are_refused() -> None:
    index = InvertedIndex.build(np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="rows have 4 terms, the centroids 3"):
        index.nearest(sparse.csr_matrix((2, 4), dtype=np.float32))
