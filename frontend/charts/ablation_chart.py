"""The chart of an ablation: the score over the factor, with error bars and reference lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from frontend.charts.palette import NEUTRAL, series_style
from vise_client.schemas.ablations import AblationView
from vise_core.specs.tasks.metrics import METRICS


@dataclass(frozen=True)
class Reference:
    """A reference line; ``published``: the paper's own number."""

    name: str
    value: float
    published: bool

    @property
    def title(self) -> str:
        """Title of the line in the legend."""
        return f"{self.name}, published" if self.published else self.name


def ablation_chart(view: AblationView, references: Sequence[Reference], *, dark: bool) -> go.Figure:
    """Plot the points that were run in the order of the factor; the position of a missing point stays empty."""
    chart = go.Figure()
    points = sorted(view.points, key=lambda p: p.position or 0) if view.log else view.points
    done = [point for point in points if point.mean is not None]
    style = series_style(0, dark=dark)
    metric = METRICS[view.metric]
    if done:
        chart.add_scatter(
            name=view.method,
            mode="lines+markers" if view.log else "markers",
            x=[point.position if view.log else point.label for point in done],
            y=[point.mean for point in done],
            error_y={"type": "data", "array": [point.std or 0 for point in done]},
            line=style,
            marker={
                "size": 11,
                "color": style["color"],
                "symbol": ["diamond" if point.baseline else "circle" for point in done],
            },
            text=[f"{point.label}{', baseline' if point.baseline else ''}" for point in done],
            customdata=[point.n for point in done],
            hovertemplate="%{text}: %{y:.4g} ± %{error_y.array:.2g} (n=%{customdata})<extra></extra>",
        )
    for number, line in enumerate(references, 1):
        own = series_style(number, dark=dark)
        chart.add_hline(
            y=line.value,
            line={
                "color": NEUTRAL if line.published else own["color"],
                "dash": ("dot", "dash", "dashdot", "longdash")[number % 4],
                "width": 1.5,
            },
            annotation={"text": line.title, "font": {"size": 11}},
            annotation_position="top left" if number % 2 else "top right",
        )
    if view.log:
        placed = [point for point in points if point.position]
        chart.update_xaxes(
            type="log",
            title=view.axis,
            tickvals=[point.position for point in placed],
            ticktext=[point.label for point in placed],
        )
    else:
        chart.update_xaxes(
            title=view.axis,
            type="category",
            categoryorder="array",
            categoryarray=[point.label for point in points],
            range=[-0.5, len(points) - 0.5],
        )
    chart.update_yaxes(title=metric.title + (", %" if metric.percent else "") + f" on {view.on}")
    chart.update_layout(height=380, margin={"l": 8, "r": 8, "t": 24, "b": 8}, showlegend=False)
    return chart
