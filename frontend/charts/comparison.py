"""Charts of many runs: a metric against a parameter, and parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from .palette import colours, sequential_lines

SPREAD = 20
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star", "x")


def is_number(value: Any) -> bool:
    """Return True for a number, but not for a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def scatter_figure(
    x: tuple[str, Sequence[Any]],
    y: tuple[str, Sequence[float | None]],
    names: Sequence[str],
    groups: Sequence[str],
    *,
    log_x: bool,
    dark: bool,
) -> go.Figure:
    """Plot one point for each run. ``x`` and ``y`` are (title, values); groups differ in colour and symbol."""
    figure, palette = go.Figure(), colours(dark=dark)
    numbers = all(value is None or is_number(value) for value in x[1])
    for position, group in enumerate(dict.fromkeys(groups)):
        mine = [i for i, g in enumerate(groups) if g == group and y[1][i] is not None and x[1][i] is not None]
        figure.add_scatter(
            x=[x[1][i] if numbers else str(x[1][i]) for i in mine],
            y=[y[1][i] for i in mine],
            mode="markers",
            name=group,
            text=[names[i] for i in mine],
            hovertemplate="%{text}<br>%{x}<br>%{y:.5g}<extra></extra>",
            marker={
                "size": 10,
                "color": palette[position % len(palette)],
                "symbol": SYMBOLS[position % len(SYMBOLS)],
                "opacity": 0.85,
            },
        )
    figure.update_layout(
        height=420,
        margin={"l": 8, "r": 8, "t": 16, "b": 8},
        xaxis={"title": x[0], "type": ("log" if log_x else "linear") if numbers else "category"},
        yaxis={"title": y[0]},
        showlegend=len(set(groups)) > 1,
        legend={"orientation": "h", "y": -0.25, "maxheight": 90},
    )
    return figure


def parallel_figure(
    parameters: Mapping[str, Sequence[Any]], metric: tuple[str, Sequence[float | None]], *, dark: bool
) -> go.Figure:
    """Plot one line for each run over the parameters to the metric, which colours it.

    Runs without the metric are left out.
    """
    kept = [i for i, value in enumerate(metric[1]) if value is not None]
    values = [metric[1][i] for i in kept]
    dimensions = [_dimension(path, [column[i] for i in kept]) for path, column in parameters.items()]
    dimensions.append({"label": metric[0], "values": values})
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": values,
                "colorscale": sequential_lines(dark=dark),
                "showscale": True,
                "colorbar": {"title": {"text": metric[0], "side": "right"}, "thickness": 12},
            },
            labelangle=-12,
            labelfont={"size": 12},
            tickfont={"size": 11},
        )
    )
    figure.update_layout(height=460, margin={"l": 60, "r": 20, "t": 80, "b": 24})
    return figure


def _dimension(path: str, values: Sequence[Any]) -> dict[str, Any]:
    """An axis of parallel coordinates; values that are not numbers are ticks."""
    label = path if len(path) <= 24 else "…" + path[-23:]
    if all(is_number(value) for value in values):
        if min(values) > 0 and max(values) / min(values) >= SPREAD:
            # Such as learning rates: a log axis.
            ticks = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
            return {
                "label": label,
                "values": [math.log10(value) for value in values],
                "range": [ticks[0], ticks[-1]],
                "tickvals": list(ticks),
                "ticktext": [f"{10.0**tick:g}" for tick in ticks],
            }
        return {"label": label, "values": list(values)}
    names = sorted({str(value) for value in values})
    return {
        "label": label,
        "values": [names.index(str(value)) for value in values],
        "tickvals": list(range(len(names))),
        "ticktext": [name if len(name) <= 18 else name[:17] + "…" for name in names],
    }
