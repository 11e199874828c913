"""Down-sampling, by properties: whatever the curve, its extremes stay and the same call gives the same points."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from backend.store.runs.read import view_run
from vise_client.schemas.metrics import MetricQuery

START = datetime(2026, 1, 1, tzinfo=UTC)
_names = (f"curve {number}" for number in count())


def write(held, key: str, values: dict[int, float]) -> None:
    sessions, run_id, token = held
    points = [
        Point(key, s, v, s / 10, START + timedelta(seconds=n)) for n, (s, v) in enumerate(values.items())
    ]
    with sessions.begin() as db:
        metrics.append(db, run_id, token, points)


def read(held, **query):
    sessions, run_id, _ = held
    with sessions() as db:
        return metrics.curves(db, MetricQuery(run_ids=[run_id], **query))


curves = st.dictionaries(
    st.integers(0, 10**9), st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=400
).map(lambda points: dict(sorted(points.items())))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(values=curves, points=st.integers(4, 60))
def test_minima_maxima_and_ends_stay_in_order_and_always_the_same(held, values, points: int) -> None:
    key = next(_names)
    write(held, key, values)
    (found,) = read(held, keys=[key], points=points)
    kept = dict(zip(found.steps, found.values, strict=True))
    assert kept.items() <= values.items(), "every point is one of the curve's own"
    assert found.steps == sorted(found.steps)
    assert (found.steps[0], found.steps[-1]) == (min(values), max(values))
    assert (min(kept.values()), max(kept.values())) == (min(values.values()), max(values.values()))
    assert found.total == len(values)
    assert len(kept) == len(values) if len(values) <= points else len(kept) <= points
    assert read(held, keys=[key], points=points) == [found]


def test_epochs_and_times_come_along(held) -> None:
    write(held, "loss", {0: 2.0, 10: 1.0})
    (found,) = read(held)
    assert found.epochs == [0, 1]
    assert found.times[1] - found.times[0] == timedelta(seconds=1)


def test_the_machine_s_curves_are_apart(held) -> None:
    write(held, "loss", {0: 1.0})
    write(held, "system/cpu_percent", {5: 99.0})
    assert [c.key for c in read(held)] == ["loss"]
    assert [c.key for c in read(held, prefix="system/")] == ["system/cpu_percent"]
    assert [c.key for c in read(held, keys=["system/cpu_percent"])] == ["system/cpu_percent"]
    sessions, run_id, _ = held
    with sessions() as db:
        assert view_run(db, UUID(str(run_id))).latest == {"loss": 1.0}
