"""Marks in charts where a value was NaN or infinite, so that a run that diverged looks like one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import plotly.graph_objects as go

from vise_client.schemas.metrics import Curve, Mark, NotFinite

Axis = Literal["step", "epoch", "time"]
SYMBOLS: dict[NotFinite, str] = {"NaN": "x", "inf": "triangle-up", "-inf": "triangle-down"}
LEGEND = "✕ NaN, ▲ inf, ▼ −inf"


def add_marks(
    figure: go.Figure,
    curve: Curve,
    axis: Axis,
    divisor: float,
    x: Sequence[float],
    y: Sequence[float | None],
    *,
    name: str,
    colour: str,
    floor: float,
) -> None:
    """Draw the marks of a curve, each at the height of the last finite value of the line (x, y) before it.

    Where there is none before, that of the first after it; where the line has none at all, ``floor``.
    """
    places = [
        (at, mark.value) for mark in curve.marks if (at := _place(curve, mark, axis, divisor)) is not None
    ]
    if not places:
        return
    figure.add_scatter(
        x=[at for at, _ in places],
        y=_heights([at for at, _ in places], x, y, floor),
        customdata=[value for _, value in places],
        mode="markers",
        marker={
            "symbol": [SYMBOLS[value] for _, value in places],
            "size": 9,
            "color": colour,
            "line": {"width": 1, "color": colour},
        },
        showlegend=False,
        cliponaxis=False,
        hovertemplate="%{customdata}<extra>" + name[:40] + "</extra>",
    )


def lowest(curves: Sequence[Curve]) -> float:
    """The least finite value of a chart: where the marks of a curve stand that has none; 1 where no curve has any."""
    return min((value for curve in curves for value in curve.values if value is not None), default=1.0)


def say_if_nothing_is_finite(figure: go.Figure, curves: Sequence[Curve]) -> None:
    """Take the numbers off the vertical axis of a chart that has none to show, and say so."""
    if any(value is not None for curve in curves for value in curve.values):
        return
    if not any(curve.marks for curve in curves):
        return
    figure.update_yaxes(showticklabels=False)
    figure.add_annotation(
        text="no finite value", showarrow=False, xref="paper", yref="paper", x=0.5, y=0.85, font={"size": 12}
    )


def told_of_marks(curves: Sequence[Curve]) -> list[str]:
    """One sentence for each metric: in how many runs, how many values, and where the first was."""
    told = []
    for key in dict.fromkeys(curve.key for curve in curves):
        mine = [curve for curve in curves if curve.key == key and curve.marks]
        if not mine:
            continue
        odd, total = sum(curve.not_finite for curve in mine), sum(curve.total for curve in mine)
        first = min((curve.marks[0] for curve in mine), key=lambda mark: mark.step)
        runs = f" in {len(mine)} runs" if len(mine) > 1 else ""
        told.append(f"{key}: {odd:,} of {total:,} values{runs}, the first {first.value} at step {first.step}")
    return told


def _place(curve: Curve, mark: Mark, axis: Axis, divisor: float) -> float | None:
    if axis == "step":
        return float(mark.step)
    if axis == "epoch":
        return mark.epoch
    return (mark.at - curve.times[0]).total_seconds() / divisor


def _heights(
    places: Sequence[float], x: Sequence[float], y: Sequence[float | None], floor: float
) -> list[float]:
    finite = [(at, value) for at, value in zip(x, y, strict=True) if value is not None]
    first = finite[0][1] if finite else floor
    heights, last, following = [], first, 0
    for at in places:
        while following < len(finite) and finite[following][0] <= at:
            last, following = finite[following][1], following + 1
        heights.append(last)
    return heights
