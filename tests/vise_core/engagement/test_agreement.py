"""Entropy, agreement and the map, against scikit-learn, SciPy and numbers by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from sklearn.decomposition import PCA
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score

from vise_core.engagement.explore.agreement import agreement, entropy, normalised_entropy, top_pairs
from vise_core.engagement.explore.projection import principal_plane


def table(first, second, shape) -> sparse.csr_matrix:
    return sparse.coo_matrix((np.ones(len(first)), (first, second)), shape=shape).tocsr()


@pytest.mark.parametrize("counts", [[5, 5, 5], [9, 1], [100, 1, 0, 3], [7, 0]])
def test_entropy(counts) -> None:
    assert entropy(counts) == pytest.approx(stats.entropy(counts, base=2))
    assert normalised_entropy(counts) == pytest.approx(stats.entropy(counts) / np.log(len(counts)))


def test_entropy_by_hand() -> None:
    assert entropy([1, 1, 2]) == 1.5
    assert entropy([]) == entropy([0, 0]) == entropy([3]) == normalised_entropy([3]) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=60))
def test_agreement_is_scikit_learn_s(pairs) -> None:
    first, second = (np.array(column) for column in zip(*pairs, strict=True))
    agreed = agreement(table(first, second, (8, 5)), len(pairs))
    assert agreed.nmi == pytest.approx(normalized_mutual_info_score(first, second), abs=1e-9)
    assert agreed.mutual_information * np.log(2) == pytest.approx(mutual_info_score(first, second), abs=1e-9)


def test_chance_is_about_what_independent_labels_show() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 30, 4000), rng.integers(0, 10, 4000)
    agreed = agreement(table(first, second, (30, 10)), 4000)
    assert agreed.chance == pytest.approx(normalized_mutual_info_score(first, second), rel=0.15)
    same = agreement(table(first, first, (30, 30)), 4000)
    assert same.nmi == pytest.approx(1)
    assert same.chance < 0.1


def test_nothing_agrees_with_nothing() -> None:
    assert agreement(sparse.csr_matrix((3, 4)), 0).nmi == 0
    assert top_pairs(sparse.csr_matrix((3, 4)), 5) == []


def test_top_pairs_by_hand() -> None:
    pairs = top_pairs(sparse.csr_matrix([[6, 0], [1, 1]], dtype=float), 2)
    # 8 in all; margins 6, 2 and 7, 1. Expected of (1, 1): 2 · 1 / 8 = 0.25, lift 4, 1/8 · log2 4 = 0.25 bits;
    # of (0, 0): 6 · 7 / 8 = 5.25, lift 8/7, 6/8 · log2(8/7) = 0.144 bits; (1, 0) is rarer than by chance.
    assert [(p.first, p.second) for p in pairs] == [(1, 1), (0, 0)]
    assert [(p.weight, p.expected, p.lift) for p in pairs] == [
        (1, 0.25, 4),
        (6, 5.25, pytest.approx(8 / 7)),
    ]


@pytest.mark.parametrize(("n", "d"), [(2, 5), (3, 2), (40, 300), (300, 40)])
def test_the_map_is_principal_components(n, d) -> None:
    rows = np.random.default_rng(1).normal(size=(n, d)).astype(np.float32) + 7
    plane = principal_plane(rows)
    reference = PCA(min(2, n, d), svd_solver="full").fit(rows.astype(np.float64))
    expected = reference.transform(rows.astype(np.float64))
    for axis in range(min(2, n - 1)):
        ours, theirs = plane.points[:, axis], expected[:, axis]
        assert np.allclose(ours, theirs * np.sign(theirs @ ours), atol=1e-6 * np.abs(expected).max() + 1e-7)
        assert ours[np.abs(ours).argmax()] > 0
        assert plane.explained[axis] == pytest.approx(reference.explained_variance_ratio_[axis], abs=1e-6)


def test_a_large_map_is_the_same_by_iteration(monkeypatch) -> None:
    from vise_core.engagement.explore import projection

    rows = np.random.default_rng(2).normal(size=(200, 30)).astype(np.float32)
    exact = principal_plane(rows)
    monkeypatch.setattr(projection, "_SMALL", 10)
    assert np.allclose(principal_plane(rows).points, exact.points, atol=1e-8)
    assert (principal_plane(rows).points == principal_plane(rows).points).all()


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((4, 3))])
def test_points_that_do_not_differ_lie_in_one_place(rows) -> None:
    plane = principal_plane(rows.astype(np.float32))
    assert plane.points.shape == (len(rows), 2)
    assert not plane.points.any()
    assert plane.explained == (0, 0)


def test_points_on_a_line_have_no_second_axis() -> None:
    rows = np.outer(np.arange(5), [1, 2, 2]).astype(np.float32)
    plane = principal_plane(rows)
    assert sorted(plane.points[:, 0]) == pytest.approx([-6, -3, 0, 3, 6])
    assert not plane.points[:, 1].any()
    assert plane.explained == (pytest.approx(1), 0)
