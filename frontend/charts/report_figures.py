"""The paper's figures as interactive charts: a panel's ``Chart`` drawn with Plotly. The paper's numbers are hollow."""

from __future__ import annotations

import plotly.graph_objects as go

from frontend.charts.palette import NEUTRAL, series_style
from vise_core.report.chart import COMPARED, Chart, Mark, Series

PUBLISHED = ", published"
SYMBOLS = (
    "circle", "square", "diamond", "triangle-up", "triangle-down", "triangle-left", "triangle-right", "pentagon",
    "cross", "x", "star", "hexagon",
)  # fmt: skip
"""Symbols of Plotly that have an open form, by style."""


def panel_chart(chart: Chart, *, published: bool, dark: bool) -> go.Figure:
    """Draw one panel. A mark's ``customdata`` is the id of the run behind it, or empty."""
    figure = go.Figure()
    bars = chart.kind == "bars"
    for series in chart.series:
        (_bars if bars else _points)(figure, series, published, dark)
    for line in chart.references:
        style = {"color": _colour(line.style, dark), "dash": line.dash, "width": 1.5}
        if bars:
            figure.add_vline(x=line.value, line=style)
        else:
            figure.add_hline(y=line.value, line=style, annotation={"text": line.label, "font": {"size": 11}})
    shown = chart.shown(published)
    if not shown:
        figure.add_annotation(text="not run", showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    figure.update_layout(
        height=max(180, 90 + 24 * len(shown)) if bars else 360,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "v", "y": 1, "x": 1.02},
        showlegend=not bars,
    )
    if bars:
        labels = {mark.label for mark in shown}
        order = [label for label in chart.position.categories if label in labels]
        figure.update_xaxes(title=chart.score.title, minallowed=chart.score.start, automargin=True)
        figure.update_yaxes(autorange="reversed", automargin=True, categoryorder="array", categoryarray=order)
    else:
        figure.update_xaxes(title=chart.position.title, type=chart.position.scale, automargin=True)
        figure.update_yaxes(title=chart.score.title, automargin=True)
    if chart.position.scale == "category" and not bars:
        figure.update_xaxes(categoryorder="array", categoryarray=list(chart.position.categories))
    return figure


def _bars(figure: go.Figure, series: Series, published: bool, dark: bool) -> None:
    run = [mark for mark in series.marks if mark.value is not None]
    if run:
        figure.add_bar(
            orientation="h",
            y=[mark.label for mark in run],
            x=[mark.value for mark in run],
            error_x={"type": "data", "array": [mark.spread for mark in run]},
            marker_color=_colour(series.style, dark),
            customdata=[mark.run for mark in run],
            hovertemplate="%{y}: %{x:.4g} ± %{error_x.array:.2g}<extra></extra>",
        )
    paper = _published(series, published)
    if paper:
        figure.add_scatter(
            mode="markers",
            y=[mark.label for mark in paper],
            x=[mark.published for mark in paper],
            marker=_hollow("circle", NEUTRAL),
            hovertemplate="%{y}: published %{x:.4g}<extra></extra>",
        )


def _points(figure: go.Figure, series: Series, published: bool, dark: bool) -> None:
    colour, symbol = _colour(series.style, dark), SYMBOLS[series.style % len(SYMBOLS)]
    run = [mark for mark in series.marks if mark.value is not None]
    if run:
        figure.add_scatter(
            name=series.name,
            legendgroup=series.name,
            mode="lines+markers" if series.connected else "markers",
            x=[mark.at for mark in run],
            y=[mark.value for mark in run],
            error_y={"type": "data", "array": [mark.spread for mark in run]},
            line=series_style(series.style, dark=dark),
            marker={"size": 9, "symbol": symbol, "color": colour},
            customdata=[mark.run for mark in run],
            text=[mark.label for mark in run],
            hovertemplate="%{text}: %{y:.4g} ± %{error_y.array:.2g}<extra></extra>",
        )
    paper = _published(series, published)
    if paper:
        figure.add_scatter(
            name=series.name + PUBLISHED,
            legendgroup=series.name,
            showlegend=not run,
            mode="markers",
            x=[mark.at for mark in paper],
            y=[mark.published for mark in paper],
            marker=_hollow(symbol, colour),
            text=[mark.label for mark in paper],
            hovertemplate="%{text}: published %{y:.4g}<extra></extra>",
        )


def _published(series: Series, published: bool) -> list[Mark]:
    return [mark for mark in series.marks if published and mark.published is not None]


def _colour(style: int, dark: bool) -> str:
    return NEUTRAL if style == COMPARED else series_style(style, dark=dark)["color"]


def _hollow(symbol: str, colour: str) -> dict[str, object]:
    return {"symbol": f"{symbol}-open", "size": 9, "color": colour, "line": {"width": 2}}
