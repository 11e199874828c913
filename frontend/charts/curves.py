"""Curves over steps, in the colours that the colour-blind can tell apart (Okabe and Ito)."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from vise_client.schemas import Curve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")


def curve_figure(
    title: str, curves: Sequence[tuple[str, Curve]], *, log: bool = False, smoothing: float = 0.0
) -> go.Figure:
    """One metric of one or several runs: (name, curve). Smoothed lines keep the raw one, faint."""
    figure = go.Figure()
    for position, (name, curve) in enumerate(curves):
        colour = COLOURS[position % len(COLOURS)]
        few = len(curve.steps) < 3
        if smoothing > 0:
            figure.add_scatter(
                x=curve.steps,
                y=curve.values,
                opacity=0.25,
                line={"color": colour},
                showlegend=False,
                hoverinfo="skip",
            )
        figure.add_scatter(
            x=curve.steps,
            y=smooth(curve.values, smoothing),
            name=name,
            mode="lines+markers" if few else "lines",
            line={"color": colour, "width": 2},
        )
    figure.update_layout(
        title={"text": title, "font": {"size": 14}},
        height=260,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        showlegend=len(curves) > 1,
        legend={"orientation": "h", "y": -0.25},
        yaxis={"type": "log" if log else "linear"},
        xaxis={"title": None},
    )
    return figure


def smooth(values: Sequence[float | None], weight: float) -> list[float | None]:
    """Exponential moving average, corrected for its start; gaps stay gaps."""
    result: list[float | None] = []
    mean, mass = 0.0, 0.0
    for value in values:
        if value is None:
            result.append(None)
            continue
        mean = weight * mean + (1 - weight) * value
        mass = weight * mass + (1 - weight)
        result.append(mean / mass)
    return result


def bars(probabilities: dict[str, float], predicted: str) -> go.Figure:
    """Probabilities of the classes, the most probable on top."""
    ranked = sorted(probabilities.items(), key=lambda item: item[1])
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in ranked],
            y=[name for name, _ in ranked],
            orientation="h",
            text=[f"{value:.1%}" for _, value in ranked],
            textposition="outside",
            cliponaxis=False,
            marker_color=[COLOURS[0] if name == predicted else "#9aa5b1" for name, _ in ranked],
        )
    )
    figure.update_layout(
        height=44 * len(ranked) + 20,
        margin={"l": 8, "r": 48, "t": 8, "b": 8},
        xaxis={"range": [0, 1], "visible": False},
        yaxis={"tickfont": {"size": 14}},
    )
    return figure


def grid_figure(base_lrs: list[float], weight_decays: list[float], values: list[list[float]]) -> go.Figure:
    """Val metric over the grid: rows are learning rates, columns weight decays."""
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[f"{w:g}" for w in weight_decays],
            y=[f"{v:g}" for v in base_lrs],
            colorscale="Cividis",
            texttemplate="%{z:.1f}",
            colorbar={"title": "val, %", "thickness": 12},
        )
    )
    figure.update_layout(
        height=240,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": "weight decay", "type": "category"},
        yaxis={"title": "base learning rate", "type": "category"},
    )
    return figure
