"""Scatter and parallel coordinates: what is drawn of runs that lack a value, and of names."""

import pytest

from frontend.charts.comparison import parallel_figure, scatter_figure


def test_a_point_a_run_that_has_both_values_and_a_sign_a_group() -> None:
    figure = scatter_figure(
        ("lr", [0.1, 0.01, None, 0.1]),
        ("acc", [50, 60, 70, None]),
        ["a", "b", "c", "d"],
        ["x", "y", "y", "x"],
        log_x=True,
        dark=False,
    )
    assert [(list(t.x), list(t.y), list(t.text)) for t in figure.data] == [
        ([0.1], [50], ["a"]),
        ([0.01], [60], ["b"]),
    ]
    assert len({t.marker.color for t in figure.data}) == len({t.marker.symbol for t in figure.data}) == 2
    assert figure.layout.xaxis.type == "log"


def test_names_have_an_axis_of_names() -> None:
    figure = scatter_figure(
        ("backbone", ["a", "b"]), ("acc", [1, 2]), ["", ""], ["", ""], log_x=True, dark=True
    )
    assert figure.layout.xaxis.type == "category"


def test_parallel_axes_take_numbers_names_and_rates() -> None:
    columns = {"seed": [0, 1, 2], "backbone": ["r50", "r18", "r50"], "lr": [0.1, 0.001, 0.01]}
    figure = parallel_figure(columns, ("acc", [50, None, 70]), dark=False)
    seed, backbone, lr, acc = figure.data[0].dimensions
    assert list(seed["values"]) == [0, 2], "a run without the metric is left out"
    assert (list(backbone["ticktext"]), list(backbone["values"])) == (["r50"], [0, 0])
    assert list(lr["values"]) == [0.1, 0.01]
    assert list(acc["values"]) == [50, 70]
    wide = parallel_figure(columns, ("acc", [50, 60, 70]), dark=False).data[0].dimensions[2]
    assert list(wide["values"]) == pytest.approx([-1, -3, -2])
    assert list(wide["ticktext"]) == ["0.001", "0.01", "0.1"]
