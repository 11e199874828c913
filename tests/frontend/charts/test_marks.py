"""Marks where a value was NaN or infinite: where they stand, and what is said of them."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from frontend.charts.curves import CurveOptions, Line, band_figure, curve_figure
from frontend.charts.grid import grid_figure
from frontend.charts.marks import SYMBOLS, mark_sentences
from vise_client.schemas.metrics import Curve, Mark, NotFinite

START = datetime(2026, 1, 1, tzinfo=UTC)


def curve(values: list[float | None], marks: dict[int, NotFinite], key: str = "loss") -> Curve:
    """One point a step, minute and half epoch."""
    n = len(values)
    return Curve(
        run_id=UUID(int=0),
        key=key,
        total=n,
        steps=list(range(n)),
        values=values,
        epochs=[i / 2 for i in range(n)],
        times=[START + timedelta(minutes=i) for i in range(n)],
        not_finite=len(marks),
        marks=[
            Mark(step=step, value=value, epoch=step / 2, at=START + timedelta(minutes=step))
            for step, value in marks.items()
        ],
    )


def test_every_value_that_json_does_not_have_has_a_sign_of_its_own() -> None:
    assert set(SYMBOLS) == set(get_args(NotFinite))
    assert len(set(SYMBOLS.values())) == 3


def test_marks_stand_at_the_height_of_the_last_finite_value() -> None:
    drawn = curve([None, 4.0, 2.0, None, None], {0: "inf", 3: "-inf", 4: "NaN"})
    line, marks = curve_figure("loss", [Line("a", drawn)], CurveOptions(), dark=False).data
    assert list(line.y) == [None, 4.0, 2.0, None, None]
    assert list(marks.x) == [0, 3, 4]
    assert list(marks.y) == [4.0, 2.0, 2.0], "before the first finite value, at its height"
    assert list(marks.customdata) == ["inf", "-inf", "NaN"]
    assert list(marks.marker.symbol) == ["triangle-up", "triangle-down", "x"]


@pytest.mark.parametrize(("axis", "expected"), [("step", 3), ("epoch", 1.5), ("time", 3)])
def test_marks_have_their_place_on_every_axis(axis, expected: float) -> None:
    drawn = curve([4.0, 2.0, 1.0, None], {3: "NaN"})
    figure = curve_figure("loss", [Line("a", drawn)], CurveOptions(x=axis), dark=False)
    assert list(figure.data[-1].x) == [expected]


def test_marks_are_drawn_beside_smoothed_lines_and_in_crowds() -> None:
    drawn = curve([4.0, 2.0, None], {2: "NaN"})
    *_, smoothed, marks = curve_figure(
        "loss", [Line("a", drawn)], CurveOptions(smoothing=0.5), dark=False
    ).data
    assert list(marks.y) == [pytest.approx(smoothed.y[1])]
    crowd = curve_figure("loss", [Line(f"{n}", drawn, n) for n in range(30)], CurveOptions(), dark=False)
    assert sum(trace.mode == "markers" for trace in crowd.data) == 30


def test_a_curve_without_a_finite_value_says_so() -> None:
    figure = curve_figure(
        "loss", [Line("a", curve([None, None], {0: "NaN", 1: "NaN"}))], CurveOptions(log_y=True), dark=False
    )
    assert list(figure.data[-1].y) == [1.0, 1.0], "a log axis has no zero"
    assert [each.text for each in figure.layout.annotations] == ["no finite value"]
    assert figure.layout.yaxis.showticklabels is False


def test_a_curve_without_a_finite_value_stands_at_the_foot_of_the_others() -> None:
    lost, whole = curve([None], {0: "NaN"}), curve([70.0, 30.0], {})
    figure = curve_figure("loss", [Line("a", lost), Line("b", whole, 1)], CurveOptions(), dark=False)
    (marks,) = [trace for trace in figure.data if trace.mode == "markers"]
    assert list(marks.y) == [30.0]
    assert figure.layout.annotations == ()
    assert figure.layout.yaxis.showticklabels is None


def test_a_curve_of_finite_values_has_no_marks() -> None:
    assert len(curve_figure("loss", [Line("a", curve([2.0, 1.0], {}))], CurveOptions(), dark=False).data) == 1


def test_a_band_is_of_finite_values_and_says_who_diverged() -> None:
    whole, cut = curve([4.0, 2.0, 0.0], {}), curve([2.0, 0.0, None], {2: "NaN"})
    lost = curve([None, None, None], {0: "NaN", 1: "NaN", 2: "NaN"})
    band, mean = band_figure("loss", [("two", [whole, cut, lost])], CurveOptions(), dark=False).data
    assert mean.name == "two (n = 2; 2 with NaN or inf)"
    assert list(mean.y) == [3.0, 1.0], "where both have finite values"
    assert all(value == value for value in band.y)


def test_the_sentence_counts_and_names_the_first() -> None:
    told = mark_sentences(
        [
            curve([1.0, None, None], {1: "NaN", 2: "inf"}),
            curve([1.0, 1.0, None], {2: "NaN"}),
            curve([1.0, 2.0], {}, key="val_loss"),
        ]
    )
    assert told == ["loss: 3 of 6 values in 2 runs, the first NaN at step 1"]


def test_a_grid_marks_the_points_that_diverged() -> None:
    figure = grid_figure([1e36, 0.0025], [0.01], [[None], [72.5]])
    assert [(each.x, each.y, each.text) for each in figure.layout.annotations] == [(0, 0, "✕ diverged")]
    assert [list(row) for row in figure.data[0].z] == [[None], [72.5]]
