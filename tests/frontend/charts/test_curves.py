"""Smoothing, axes and bands: golden values by hand, and what must hold for any curve."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontend.charts.curves import CurveOptions, Line, band_figure, curve_figure, mean_and_std, smooth
from frontend.charts.palette import LIGHT
from vise_client.schemas.metrics import Curve

START = datetime(2026, 1, 1, tzinfo=UTC)


def curve(values: list[float | None], *, every: float = 60, epochs: bool = True) -> Curve:
    n = len(values)
    return Curve(
        run_id=UUID(int=0),
        key="loss",
        total=n,
        steps=[10 * i for i in range(n)],
        values=values,
        epochs=[i / 2 if epochs else None for i in range(n)],
        times=[START + timedelta(seconds=every * i) for i in range(n)],
    )


def test_the_average_is_corrected_for_its_start() -> None:
    # Weights 0.5: 4; (4·0.25 + 2·0.5) / 0.75; (4·0.125 + 2·0.25 + 1·0.5) / 0.875
    assert smooth([4, 2, 1], 0.5) == pytest.approx([4, 8 / 3, 12 / 7])
    assert smooth([4, None, 2], 0.5) == pytest.approx([4, None, 8 / 3])
    assert smooth([3.0, 1.0], 0.0) == [3.0, 1.0]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.floats(0, 0.98))
def test_a_smoothed_curve_stays_between_its_least_and_its_greatest(
    values: list[float], weight: float
) -> None:
    room = 1e-6 * (1 + max(map(abs, values)))
    assert all(min(values) - room <= v <= max(values) + room for v in smooth(values, weight) if v is not None)


def test_a_smoothed_line_keeps_its_raw_points_faint_behind_it() -> None:
    figure = curve_figure("loss", [Line("a", curve([4, 2, 1]))], CurveOptions(smoothing=0.5), dark=False)
    raw, smoothed = figure.data
    assert list(raw.y) == [4, 2, 1]
    assert raw.opacity < 0.5
    assert list(smoothed.y) == pytest.approx([4, 8 / 3, 12 / 7])
    assert raw.line.color == smoothed.line.color


@pytest.mark.parametrize(
    ("axis", "expected", "title"),
    [("step", [0, 10, 20], "step"), ("epoch", [0, 0.5, 1], "epoch"), ("time", [0, 1, 2], "minutes since")],
)
def test_axes(axis, expected: list[float], title: str) -> None:
    figure = curve_figure("loss", [Line("a", curve([4, 2, 1]))], CurveOptions(x=axis, log_y=True), dark=True)
    assert list(figure.data[0].x) == expected
    assert figure.layout.xaxis.title.text.startswith(title)
    assert (figure.layout.yaxis.type, figure.layout.xaxis.type) == ("log", "linear")


def test_what_was_told_without_epochs_has_no_place_on_their_axis() -> None:
    figure = curve_figure(
        "loss", [Line("a", curve([1, 2], epochs=False))], CurveOptions(x="epoch"), dark=False
    )
    assert list(figure.data[0].x) == []


def test_mean_and_spread_of_runs_told_at_other_steps() -> None:
    grid, mean, std = mean_and_std(
        [(np.array([0.0, 2.0]), np.array([0.0, 2.0])), (np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 4.0]))]
    )
    assert grid.tolist() == [0, 1, 2]
    assert mean.tolist() == [1, 2, 3]
    assert std is not None
    assert std.tolist() == pytest.approx([2**0.5] * 3), "ddof 1"


def test_a_band_covers_what_all_share_and_one_run_alone_has_none() -> None:
    groups = [("two", [curve([1, 2, 3]), curve([3, 4, 5])]), ("one", [curve([7, 7])])]
    figure = band_figure("loss", groups, CurveOptions(), dark=False)
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["two (n = 2)", "one (n = 1)"]
    assert [trace.fill for trace in figure.data] == ["toself", None, None]
    grid, _, std = mean_and_std([(np.array([0.0, 1.0]), np.zeros(2)), (np.array([5.0, 6.0]), np.zeros(2))])
    assert (len(grid), std) == (0, None), "nothing where they share nothing"


def test_more_lines_than_look_different_have_no_legend_and_one_stroke_a_colour() -> None:
    lines = [Line(f"run {n}", curve([2, 1]), n) for n in range(25)]
    assert curve_figure("loss", lines[:24], CurveOptions(), dark=False).layout.showlegend
    many = curve_figure("loss", lines, CurveOptions(), dark=False)
    assert not many.layout.showlegend
    assert [trace.line.color for trace in many.data] == list(LIGHT)
    assert {name for trace in many.data for name in trace.customdata} == {line.name for line in lines}
    # Every sixth line has the first colour: 0, 6, 12, 18 and 24. A gap ends each.
    assert many.data[0].customdata[:4] == ("run 0", "run 0", "run 0", "run 6")
    np.testing.assert_array_equal(many.data[0].x, [0, 10, np.nan] * 5)
    np.testing.assert_array_equal(many.data[0].y, [2, 1, np.nan] * 5)
