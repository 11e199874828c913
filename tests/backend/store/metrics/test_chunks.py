"""Long curves are answered from chunks of 64 points: the same answer as a slow reference gives from the points."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from backend.store.metrics import chunks
from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from backend.store.metrics.tables import MetricChunk, MetricPoint
from backend.store.runs.tables import Run
from vise_client.schemas.metrics import MetricQuery

START = datetime(2026, 1, 1, tzinfo=UTC)
_names = (f"curve {number}" for number in count())


def write(held, key: str, values: dict[int, float]) -> None:
    sessions, run_id, token = held
    points = [Point(key, s, v, s / 10, START + timedelta(seconds=s % 1000)) for s, v in values.items()]
    with sessions.begin() as db:
        metrics.append(db, run_id, token, points)


def cut(held, key: str, step: int) -> None:
    """Take away the points from this step on."""
    sessions, run_id, _ = held
    with sessions.begin() as db:
        gone = (MetricPoint.run_id == run_id, MetricPoint.key == key, MetricPoint.step >= step)
        db.execute(delete(MetricPoint).where(*gone))
        chunks.rebuild(db, run_id, {key: step})


def answer(held, key: str, points: int) -> list[tuple[int, float | None, float | None]]:
    sessions, run_id, _ = held
    with sessions() as db:
        curves = metrics.curves(db, MetricQuery(run_ids=[run_id], keys=[key], points=points))
    if not curves:
        return []
    (curve,) = curves
    assert all(
        t == START + timedelta(seconds=s % 1000) for s, t in zip(curve.steps, curve.times, strict=True)
    )
    return list(zip(curve.steps, curve.values, curve.epochs, strict=True))


def reference(values: dict[int, float], points: int) -> list[tuple[int, float | None, float | None]]:
    """What is to be answered, from the points themselves."""
    order = sorted(values)
    buckets, whole = max(1, (points - 2) // 2), len(order) // 64
    kept = set(order) if len(order) <= points else {order[0], order[-1]}
    if points >= 4:
        members: dict[int, list[int]] = {}
        for n, step in enumerate(order):
            by_chunk = min(n // 64, whole) * buckets // (whole + 1)
            bucket = by_chunk if whole >= buckets else n * buckets // len(order)
            members.setdefault(bucket, []).append(step)
        for steps in members.values():
            kept.add(min(steps, key=lambda s: (not math.isfinite(values[s]), rank(values[s]), s)))
            kept.add(
                min(steps, key=lambda s: (not math.isfinite(values[s]), *(-x for x in rank(values[s])), s))
            )
    return [(s, values[s] if math.isfinite(values[s]) else None, s / 10) for s in sorted(kept)]


def rank(value: float) -> tuple[float, float]:
    """PostgreSQL's order: NaN is greater than all numbers."""
    return (1, 0) if math.isnan(value) else (0, value)


numbers = st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan, math.inf, -math.inf]) | st.floats(-1e300, 1e300)
steps = st.integers(1 - 2**63, 2**63 - 1) | st.integers(0, 600)


@st.composite
def stretches(draw) -> dict[int, float]:
    """Points as a stage tells them: even steps from somewhere on, or any."""
    if draw(st.booleans()):
        return draw(st.dictionaries(steps, numbers, min_size=1, max_size=80))
    first, stride = draw(st.integers(0, 500)), draw(st.integers(1, 3))
    told = draw(st.lists(numbers, min_size=1, max_size=8))
    return {first + stride * n: told[n % len(told)] for n in range(draw(st.integers(1, 400)))}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    told=st.lists(st.tuples(stretches(), st.none() | steps), min_size=1, max_size=6),
    points=st.lists(st.integers(2, 20), min_size=1, max_size=3) | st.lists(st.integers(2, 500), max_size=1),
)
def test_the_answer_is_that_of_the_reference_whatever_came_in_whatever_order(held, told, points) -> None:
    """Late steps, repeated ones with other values, and cuts after which a run goes on."""
    key, kept = next(_names), {}
    for values, cut_from in told:
        write(held, key, values)
        kept = values | kept
        if cut_from is not None:
            cut(held, key, cut_from)
            kept = {s: v for s, v in kept.items() if s < cut_from}
    for number in points:
        assert answer(held, key, number) == reference(kept, number)


@pytest.mark.parametrize("step", [62, 63, 64, 127, 128])
def test_a_cut_at_the_edge_of_a_chunk(held, step: int) -> None:
    values = {s: float(-s) for s in range(200)}
    write(held, "edge", values)
    cut(held, "edge", step)
    assert answer(held, "edge", 4) == reference({s: v for s, v in values.items() if s < step}, 4)
    write(held, "edge", {s: float(s) for s in range(step, 300)})
    assert answer(held, "edge", 4) == reference({s: float(-s if s < step else s) for s in range(300)}, 4)


def test_two_that_write_at_once_make_the_chunks_of_one(held) -> None:
    """Two connections, each with every other step, in batches of 7."""

    def tell(half: int) -> None:
        for start in range(half, 2000, 14):
            write(held, "both", {s: float(s * 7919 % 1009) for s in range(start, min(start + 14, 2000), 2)})

    with ThreadPoolExecutor(2) as both:
        list(both.map(tell, (0, 1)))
    values = {s: float(s * 7919 % 1009) for s in range(2000)}
    for points in (2, 4, 30, 60):
        assert answer(held, "both", points) == reference(values, points)


def test_several_curves_of_any_length_are_answered_at_once_and_in_order(held) -> None:
    sessions, run_id, _ = held
    curves = {f"loss/{n}": {s: math.sin(s * n) for s in range(n * 40)} for n in range(1, 9)}
    for key, values in curves.items():
        write(held, key, values)
    with sessions() as db:
        found = metrics.curves(db, MetricQuery(run_ids=[run_id, run_id], points=10))
    assert [curve.key for curve in found] == sorted(curves)
    for curve in found:
        told = [(s, v, e) for s, v, e in zip(curve.steps, curve.values, curve.epochs, strict=True)]
        assert told == reference(curves[curve.key], 10)
        assert curve.total == len(curves[curve.key])


def test_points_and_chunks_go_with_their_run(held) -> None:
    sessions, run_id, _ = held
    write(held, "loss", dict.fromkeys(range(100), 1.0))
    with sessions.begin() as db:
        db.execute(delete(Run).where(Run.id == run_id))
    with sessions() as db:
        assert [db.scalar(select(func.count()).select_from(t)) for t in (MetricPoint, MetricChunk)] == [0, 0]
