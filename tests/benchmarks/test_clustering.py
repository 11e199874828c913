"""The clustering benchmark: how it judges, and that its limit ends scikit-learn's own fit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from benchmarks.clustering import Limited, Moment, fit_ours, judge
from benchmarks.measures.rows import verdict
from benchmarks.measures.zipf import tfidf, word_counts

OURS = [Moment(10, 18, 900), Moment(20, 36, 700), Moment(30, 54, 690)]


def test_a_peer_that_stopped_by_itself_is_met_where_ours_first_was_as_low() -> None:
    rows = judge(OURS, Moment(110, 200, 700), out_of_time=False)
    assert [(row.name, row.ours, row.ratio, row.reached) for row in rows] == [
        ("clustering to MiniBatchKMeans's inertia", "20.0 s, inertia 700", "5.5 ×", True),
        ("the same, processor seconds", "36.0 s", "5.6 ×", None),
    ]
    assert rows[0].peer == "110.0 s, inertia 700"
    assert verdict(judge(OURS, Moment(99, 200, 700), out_of_time=False)) == 1


def test_a_peer_out_of_time_takes_longer_still_to_our_last_inertia() -> None:
    met, _, last = judge(OURS, Moment(180, 350, 800), out_of_time=True)
    assert (met.ours, met.ratio) == ("20.0 s, inertia 700", "9.0 ×")
    assert met.peer == "180.0 s when out of time, inertia 800"
    assert (last.name, last.ours) == ("clustering to our last inertia", "30.0 s, inertia 690")
    assert (last.peer, last.ratio) == ("more than 180.0 s", "> 6.0 ×")


def test_no_bound_is_claimed_where_the_peer_was_as_low_as_ours() -> None:
    assert len(judge(OURS, Moment(180, 350, 690), out_of_time=True)) == 2


def test_a_peer_that_ours_never_met_has_won() -> None:
    for out_of_time in (False, True):
        (row,) = judge(OURS, Moment(900, 1600, 689), out_of_time=out_of_time)
        assert (row.ours, row.ratio, row.reached) == ("not reached: 30.0 s, inertia 690", "", False)


def test_the_limit_ends_the_peer_and_nothing_else_does() -> None:
    rows = tfidf(word_counts(2000, 200, 0))
    settings = {"batch_size": 256, "random_state": 0, "compute_labels": False}
    free = Limited(20, **settings).fit_within(rows, 3600)
    assert not free.out_of_time
    own = MiniBatchKMeans(20, **settings).fit(rows)
    assert free.n_steps_ == own.n_steps_ > 2
    assert np.array_equal(free.cluster_centers_, own.cluster_centers_)
    cut = Limited(20, **settings).fit_within(rows, 0)
    assert cut.out_of_time
    assert cut.n_steps_ == 2
    assert cut.cluster_centers_.shape == (20, 200)
    assert 0 < cut.first[0] < cut.last[0]


def test_ours_ends_when_a_pass_gains_little() -> None:
    *before, last = fit_ours(tfidf(word_counts(2000, 200, 0)), 20, 0)
    assert last.inertia > 0.999 * before[-1].inertia
    assert all(one.inertia > two.inertia for one, two in pairwise(before))
