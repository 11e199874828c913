"""Marks on curves where a value was NaN or infinite, so that a diverged run is recognised."""

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
    """Add the marks of a curve, each at the height of the last finite value of the line (x, y) before it.

    Without a value before, at the height of the first after it; of a line without finite values, at ``floor``.
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
    """Return the smallest finite value of all curves, 1 if there is none: the height of marks of curves without any."""
    return min((value for curve in curves for value in curve.values if value is not None), default=1.0)


def note_if_not_finite(figure: go.Figure, curves: Sequence[Curve]) -> None:
    """Write "no finite value" on a chart without any, and remove the numbers of its vertical axis."""
    if any(value is not None for curve in curves for value in curve.values):
        return
    if not any(curve.marks for curve in curves):
        return
    figure.update_yaxes(showticklabels=False)
    figure.add_annotation(
        text="no finite value", showarrow=False, xref="paper", yref="paper", x=0.5, y=0.85, font={"size": 12}
    )


def mark_sentences(curves: Sequence[Curve]) -> list[str]:
    """Return a sentence for each metric that has marks: how many values, in how many runs, and the first."""
    sentences = []
    for key in dict.fromkeys(curve.key for curve in curves):
        mine = [curve for curve in curves if curve.key == key and curve.marks]
        if not mine:
            continue
        odd, total = sum(curve.not_finite for curve in mine), sum(curve.total for curve in mine)
        first = min((curve.marks[0] for curve in mine), key=lambda mark: mark.step)
        runs = f" in {len(mine)} runs" if len(mine) > 1 else ""
        sentences.append(
            f"{key}: {odd:,} of {total:,} values{runs}, the first {first.value} at step {first.step}"
        )
    return sentences


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
