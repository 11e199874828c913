"""The paper's figures as interactive charts. Ours are filled; the paper's own numbers are hollow, and say so."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from frontend.charts.palette import NEUTRAL, series_style
from vise_core.report import OurFigure
from vise_core.report.draw import label, unit
from vise_core.report.figures import Panel, Point

PUBLISHED = ", published"


def panel_chart(figure: OurFigure, panel: Panel, *, published: bool, dark: bool) -> go.Figure:
    """One panel. A point's ``customdata`` is the id of the run behind it, where there is one."""
    chart = go.Figure()
    {"bars": _bars, "data size": _over_size, "backbones": _over_backbones}[figure.kind](
        chart, panel, published, dark
    )
    if not chart.data:
        chart.add_annotation(text="not run", showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    tall = 90 + 24 * len(shown(panel, published)) if figure.kind == "bars" else 360
    chart.update_layout(
        height=max(180, tall),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "v", "y": 1, "x": 1.02},
        showlegend=figure.kind != "bars",
    )
    return chart


def shown(panel: Panel, published: bool) -> list[Point]:
    """The points that have something to show."""
    return [
        point
        for point in panel.points
        if point.mean is not None or (published and point.published is not None)
    ]


def _bars(chart: go.Figure, panel: Panel, published: bool, dark: bool) -> None:
    run = [point for point in panel.points if point.mean is not None]
    blue = series_style(0, dark=dark)["color"]
    if run:
        chart.add_bar(
            orientation="h",
            y=[label(point) for point in run],
            x=[point.mean for point in run],
            error_x={"type": "data", "array": [point.std or 0 for point in run]},
            marker_color=[blue if point.method.startswith("VisE") else NEUTRAL for point in run],
            customdata=[_run(point) for point in run],
            hovertemplate="%{y}: %{x:.4g} ± %{error_x.array:.2g}<extra></extra>",
        )
    if published:
        paper = [point for point in panel.points if point.published is not None]
        if paper:
            chart.add_scatter(
                mode="markers",
                y=[label(point) for point in paper],
                x=[point.published for point in paper],
                marker={"symbol": "circle-open", "size": 9, "color": NEUTRAL, "line": {"width": 2}},
                hovertemplate="%{y}: published %{x:.4g}<extra></extra>",
            )
    for line, dash in zip(
        [one for one in panel.lines if one.mean is not None], ("dash", "dot"), strict=False
    ):
        chart.add_vline(x=line.mean, line={"color": blue, "dash": dash, "width": 1.5})
    values = [p.mean for p in run] + [p.published for p in panel.points if published and p.published]
    fraction = bool(values) and max(v for v in values if v is not None) <= 1
    chart.update_xaxes(title=unit(panel), range=None if not fraction else [0.45, None])
    order = [label(point) for point in shown(panel, published)]
    chart.update_yaxes(autorange="reversed", automargin=True, categoryorder="array", categoryarray=order)


def _over_size(chart: go.Figure, panel: Panel, published: bool, dark: bool) -> None:
    placed = [point for point in shown(panel, published) if point.data_size]
    families = dict.fromkeys(_family(point) for point in placed)
    for number, family in enumerate(families):
        style = series_style(number, dark=dark)
        mine = sorted((p for p in placed if _family(p) == family), key=lambda p: p.data_size or 0)
        _series(chart, family, [(p.data_size, p) for p in mine], style, published, line=family == "VisE")
    for point in panel.points:
        if point.method == "Random Init" and not point.data_size and point.mean is not None:
            chart.add_hline(
                y=point.mean,
                line={"color": NEUTRAL, "dash": "dot", "width": 1.5},
                annotation={"text": label(point), "font": {"size": 11}},
            )
    chart.update_xaxes(type="log", title="images or pairs seen in pretraining")
    chart.update_yaxes(title=unit(panel))


def _over_backbones(chart: go.Figure, panel: Panel, published: bool, dark: bool) -> None:
    from vise_core.report.reproduced import backbone_title

    for number, method in enumerate(sorted({point.method for point in panel.points})):
        mine = [point for point in panel.points if point.method == method]
        style = series_style(number, dark=dark)
        _series(chart, method, [(backbone_title(p.backbone), p) for p in mine], style, published, line=True)
    chart.update_yaxes(title=unit(panel))


def _series(
    chart: go.Figure,
    name: str,
    points: Sequence[tuple[object, Point]],
    style: dict[str, str],
    published: bool,
    *,
    line: bool,
) -> None:
    run = [(x, point) for x, point in points if point.mean is not None]
    if run:
        chart.add_scatter(
            name=name,
            legendgroup=name,
            mode="lines+markers" if line else "markers",
            x=[x for x, _ in run],
            y=[point.mean for _, point in run],
            error_y={"type": "data", "array": [point.std or 0 for _, point in run]},
            line=style,
            marker={"size": 9},
            customdata=[_run(point) for _, point in run],
            text=[label(point) for _, point in run],
            hovertemplate="%{text}: %{y:.4g} ± %{error_y.array:.2g}<extra></extra>",
        )
    paper = [(x, point) for x, point in points if published and point.published is not None]
    if paper:
        chart.add_scatter(
            name=name + PUBLISHED,
            legendgroup=name,
            showlegend=not run,
            mode="markers",
            x=[x for x, _ in paper],
            y=[point.published for _, point in paper],
            marker={"symbol": "circle-open", "size": 9, "color": style["color"], "line": {"width": 2}},
            text=[label(point) for _, point in paper],
            hovertemplate="%{text}: published %{y:.4g}<extra></extra>",
        )


def _family(point: Point) -> str:
    return "VisE" if point.method.startswith("VisE") else point.method


def _run(point: Point) -> str:
    return point.runs[0] if point.runs else ""
