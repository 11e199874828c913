"""Samples of clusters: bounded, at random, and the same whatever the order."""

import random
from collections import Counter

import numpy as np
from scipy.stats import chisquare

from vise_core.engagement.explore.samples import ClusterSamples
from vise_core.formats.post import post_key


def filled(rows: list[tuple[str, int]], most: int, seed: int, batch: int) -> ClusterSamples:
    samples = ClusterSamples(most, seed)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        samples.add([post_key(i) for i, _ in part], [c for _, c in part])
    return samples


ROWS = [(f"post {n}", n % 7) for n in range(500)] + [(f"post {n}", 3) for n in range(0, 500, 7)]


def test_the_order_and_the_batches_do_not_matter() -> None:
    first = filled(ROWS, 5, 0, 500)
    for batch in (1, 37):
        mixed = random.Random(batch).sample(ROWS, len(ROWS))
        other = filled(mixed, 5, 0, batch)
        assert [other.of(c) for c in range(8)] == [first.of(c) for c in range(8)]


def test_each_cluster_has_its_own_posts_and_no_more_than_asked() -> None:
    samples = filled(ROWS, 5, 0, 100)
    members = {c: {post_key(i) for i, k in ROWS if k == c} for c in range(7)}
    for cluster in range(7):
        chosen = samples.of(cluster)
        assert len(chosen) == len(set(chosen)) == 5
        assert set(chosen) <= members[cluster]
    assert samples.of(7) == []
    assert samples.keys() == {key for c in range(7) for key in samples.of(c)}
    assert len(filled(ROWS, 1000, 0, 100).of(2)) == len(members[2])


def test_another_seed_another_sample() -> None:
    assert filled(ROWS, 5, 0, 100).of(1) != filled(ROWS, 5, 1, 100).of(1)


def test_every_post_is_drawn_as_often() -> None:
    drawn = Counter()
    for seed in range(600):
        drawn.update(filled([(f"p{n}", 4) for n in range(12)], 3, seed, 12).of(4))
    assert len(drawn) == 12
    assert chisquare(list(drawn.values())).pvalue > 0.001


def test_clusters_draw_apart_from_each_other() -> None:
    rows = [(f"p{n}", c) for n in range(400) for c in (0, 1)]
    samples = filled(rows, 40, 0, 100)
    shared = len(set(samples.of(0)) & set(samples.of(1)))
    assert shared < 15, "4 of 40 are expected to be the same"


def test_nothing_added() -> None:
    samples = ClusterSamples(3, 0)
    samples.add([], np.empty(0, dtype=np.int64))
    assert samples.of(0) == []
