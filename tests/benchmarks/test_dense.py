"""The benchmark of dense k-means: its brute force, and that a small run finds exact labels."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import dense


def test_brute_force_names_the_first_of_equal_centroids() -> None:
    centroids = np.array([[0, 4], [3, 0], [3, 0]], np.float32)
    assert dense.brute_force(np.array([[3, 0], [0, 3]], np.float32), centroids).tolist() == [1, 0]


@pytest.mark.slow
def test_a_small_run_reaches_the_peers_inertia_with_exact_labels() -> None:
    options = ["--rows=1500", "--columns=24", "--clusters=20", "--passes=3", "--rounds=1", "--planted=200"]
    rows = {row.name: row for row in dense.measure(dense.parser().parse_args(options))}
    assert rows["labels that differ from brute force in 64 bits, near ties"].reached
    assert not rows["dense k-means to faiss's inertia"].ours.startswith("not reached")
    assert rows["nearest dense centroid"].ratio
