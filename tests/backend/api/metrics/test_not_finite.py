"""Values that are NaN or infinite, over HTTP: named and marked, never a number, never the least or the greatest."""

import json
import math
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text

from backend.api.app import PREFIX
from backend.store.metrics import marks
from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from vise_client.schemas.comparison import Comparison
from vise_client.schemas.metrics import Curve
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAST = "metric.loss:last"


def strict(response):
    """JSON as every other language reads it: Python alone takes NaN."""
    assert response.status_code == 200, response.text

    def fail(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(response.content, parse_constant=fail)


@pytest.fixture
def told(editor):
    """Makes a finished run with this curve of losses."""

    def make(values: list[float]) -> UUID:
        spec = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}
        run_id = UUID(editor.post(f"{PREFIX}/runs", json={"stage": "ingest", "spec": spec}).json()["id"])
        with editor.app.state.sessions.begin() as db:
            claim = claim_run(db, run_id, "w", 60)
            assert claim is not None
            points = [Point("loss", step, value, step / 2, NOW) for step, value in enumerate(values)]
            metrics.append(db, run_id, claim.token, points)
            finish_run(db, run_id, claim.token, RunState.succeeded, result={}, headline={})
        return run_id

    return make


def curve_of(api, run_id: UUID, points: int = 500) -> Curve:
    body = {"run_ids": [str(run_id)], "points": points}
    (found,) = strict(api.post(f"{PREFIX}/metrics/query", json=body))
    return Curve.model_validate(found)


@pytest.mark.parametrize(
    ("last", "name"), [(math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf")], ids=str
)
def test_a_curve_that_ends_not_finite_is_still_listed_and_its_latest_value_named(
    editor, told, last: float, name: str
) -> None:
    run_id = told([3.0, 2.0, last])
    view = strict(editor.get(f"{PREFIX}/runs/{run_id}"))
    assert view["latest"] == {"loss": name}
    assert RunView.model_validate(view).latest == {"loss": name}
    curve = curve_of(editor, run_id)
    assert curve.values == [3.0, 2.0, None]
    assert curve.not_finite == 1
    assert [(m.step, m.value, m.epoch, m.at) for m in curve.marks] == [(2, name, 1.0, NOW)]
    columns = [LAST, "metric.loss:min", "metric.loss:max"]
    (row,) = strict(editor.get(f"{PREFIX}/runs", params={"column": columns}))["items"]
    assert row["columns"] == {LAST: name, "metric.loss:min": 2.0, "metric.loss:max": 3.0}


def test_a_curve_without_one_finite_value_has_marks_only(editor, told) -> None:
    run_id = told([math.nan, math.inf, -math.inf])
    curve = curve_of(editor, run_id)
    assert curve.values == [None, None, None]
    assert [mark.value for mark in curve.marks] == ["NaN", "inf", "-inf"]
    columns = [LAST, "metric.loss:min", "metric.loss:max"]
    (row,) = strict(editor.get(f"{PREFIX}/runs", params={"column": columns}))["items"]
    assert row["columns"] == {LAST: "-inf"}, "there is no least and no greatest"


@pytest.mark.parametrize("points", [50, 500])
def test_marks_stay_where_points_are_thinned_out(editor, told, points: int) -> None:
    # Every 64th value is NaN, so that each bucket and chunk has finite values that hide it.
    values = [math.nan if step % 64 == 7 else float(step) for step in range(3000)]
    curve = curve_of(editor, told(values), points)
    nans = [step for step in range(3000) if step % 64 == 7]
    assert curve.total == 3000
    assert curve.not_finite == len(nans) == 47
    assert [mark.step for mark in curve.marks] == nans
    assert None not in curve.values[1:-1], "and they hide no peak"


def test_of_many_marks_the_first_and_the_last_stay(editor, told) -> None:
    curve = curve_of(editor, told([1.0, 2.0] + [math.nan] * 2500), 40)
    assert curve.not_finite == 2500
    steps = [mark.step for mark in curve.marks]
    assert (steps[0], steps[-1]) == (2, 2501)
    assert len(steps) <= marks.MOST + 2
    assert steps == sorted(set(steps))


def test_runs_sort_and_filter_by_finite_values_and_are_found_by_name(editor, told) -> None:
    runs = {"low": [1.0], "high": [5.0], "nan": [2.0, math.nan], "inf": [2.0, math.inf], "-inf": [-math.inf]}
    ids = {str(told(values)): name for name, values in runs.items()}

    def names(**params) -> list[str]:
        return [ids[row["id"]] for row in strict(editor.get(f"{PREFIX}/runs", params=params))["items"]]

    for sort, first in ((LAST, ["low", "high"]), (f"-{LAST}", ["high", "low"])):
        order = names(sort=sort)
        assert order[:2] == first
        assert set(order[2:]) == {"nan", "inf", "-inf"}, "what is not finite comes last in either direction"
    assert names(query=f"{LAST} > 0", sort=LAST) == ["low", "high"]
    assert names(query=f"{LAST} < 3") == ["low"]
    assert names(query=f"{LAST} = nan") == ["nan"]
    assert names(query=f"{LAST} = -inf") == ["-inf"]
    assert set(names(query=f"{LAST} in (NaN, inf)")) == {"nan", "inf"}
    assert set(names(query=f"{LAST} != nan")) == {"low", "high", "inf", "-inf"}
    assert set(names(query=f"{LAST} = none")) == {"nan", "inf", "-inf"}, "they have no number"
    refused = editor.get(f"{PREFIX}/runs", params={"query": f"{LAST} < nan"})
    assert refused.status_code == 422


def test_groups_take_the_mean_of_finite_values(editor, told) -> None:
    told([4.0])
    told([math.nan])
    # The same spec again: of repeats the newest counts.
    (group,) = strict(editor.get(f"{PREFIX}/runs/groups", params={"column": ["metric.loss"]}))["items"]
    assert group["metrics"] == {}
    told([6.0])
    (group,) = strict(editor.get(f"{PREFIX}/runs/groups", params={"column": ["metric.loss"]}))["items"]
    assert group["metrics"]["metric.loss"]["mean"] == 6.0


def test_a_comparison_names_them_and_leaves_them_out_of_importance(editor, told) -> None:
    ids = [told([3.0]), told([3.0, math.nan]), told([3.0, math.inf])]
    body = {"run_ids": [str(i) for i in ids], "metric": "loss"}
    comparison = Comparison.model_validate(strict(editor.post(f"{PREFIX}/runs/compare", json=body)))
    assert comparison.metrics == {"loss": [3.0, None, None]}
    assert comparison.not_finite == {"loss": {1: "NaN", 2: "inf"}}


def test_marks_are_found_without_reading_the_history(editor, told) -> None:
    run_id = told([float(step) for step in range(5000)] + [math.nan])
    with editor.app.state.sessions.begin() as db:
        db.execute(text("ANALYZE metric_points"))
        plan = "\n".join(
            db.scalars(
                text(f"EXPLAIN {marks._MARKS.text}"),
                {"runs": [run_id], "keys": ["loss"], "most": marks.MOST},
            )
        )
    assert "ix_metric_points_not_finite" in plan
