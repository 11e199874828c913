"""Curves: repeated writes do no harm, sampling keeps the peaks and repeats itself."""

import math
from datetime import UTC, datetime

import pytest

from backend.store.errors import StaleToken
from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from backend.store.runs.read import view_run
from backend.store.runs.states.finish import release_run
from backend.store.runs.states.lease import claim_run
from vise_client.schemas.metrics import MetricQuery

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def append(held, values: dict[int, float], key: str = "loss") -> None:
    sessions, run_id, token = held
    with sessions.begin() as db:
        metrics.append(db, run_id, token, [Point(key, s, v, None, NOW) for s, v in values.items()])


def curve(held, points: int):
    sessions, run_id, _ = held
    with sessions() as db:
        (found,) = metrics.curves(db, MetricQuery(run_ids=[run_id], points=points))
    return found


def test_points_told_twice_count_once_and_the_latest_is_that_of_the_highest_step(held) -> None:
    append(held, {0: 3.0, 1: 2.0, 2: 1.0})
    append(held, {1: 2.0, 2: 1.0})
    points = curve(held, 100)
    assert (points.steps, points.values, points.total) == ([0, 1, 2], [3, 2, 1], 3)
    sessions, run_id, _ = held
    with sessions() as db:
        assert view_run(db, run_id).latest == {"loss": 1.0}


def test_a_sampled_curve_keeps_its_ends_and_its_peaks(held) -> None:
    values = {n: math.sin(n / 50) for n in range(5000)}
    values[1234], values[3333] = 99.0, -99.0
    append(held, values)
    points = curve(held, 200)
    assert points.total == 5000
    assert len(points.steps) <= 200
    assert points.steps[0] == 0
    assert points.steps[-1] == 4999
    assert {99.0, -99.0} <= set(points.values)
    assert points == curve(held, 200)


def test_what_is_not_a_finite_number_is_null_on_the_wire(held) -> None:
    append(held, {0: math.nan, 1: math.inf, 2: 1.0})
    assert curve(held, 10).values == [None, None, 1.0]


def test_a_worker_that_lost_its_run_is_refused(held) -> None:
    sessions, run_id, token = held
    with sessions.begin() as db:
        release_run(db, run_id, token, "shutting down")
    with pytest.raises(StaleToken):
        append(held, {0: 1.0})
    with sessions.begin() as db:
        again = claim_run(db, run_id, "other", 60)
        assert again is not None
        assert again.token > token
        assert claim_run(db, run_id, "third", 60) is None
