"""The map of clusters: their centroids on the first two principal components."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from vise_client.schemas.clusters import ClusterPoints

from .palette import NEUTRAL, colour

LARGEST, SMALLEST = 34.0, 4.0


def cluster_map(
    points: ClusterPoints,
    *,
    matches: Sequence[int] | None = None,
    selected: int | None = None,
    explained: tuple[float, float] = (0, 0),
    unit: str,
    dark: bool,
) -> go.Figure:
    """Plot one circle for each cluster, with an area by its size; ``customdata`` is the cluster's number.

    Clusters that are not in ``matches``, the result of a search, are faint. ``selected`` has a ring and its number.
    """
    matching = set(points.clusters if matches is None else matches)
    most = max([*points.sizes, 1])
    titles = [escape(title, quote=False) for title in points.titles]
    figure = go.Figure(
        go.Scatter(
            x=points.x,
            y=points.y,
            mode="markers",
            customdata=points.clusters,
            text=[
                f"<b>{cluster}</b> {title}<br>{size:,} {unit}"
                for cluster, title, size in zip(points.clusters, titles, points.sizes, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "size": [max(SMALLEST, LARGEST * math.sqrt(size / most)) for size in points.sizes],
                "color": [colour(0, dark=dark) if c in matching else NEUTRAL for c in points.clusters],
                "opacity": [0.75 if c in matching else 0.15 for c in points.clusters],
                "line": {"width": 0},
            },
            # The selection is in the address and drawn below; Plotly's own selection changes nothing.
            selected={"marker": {"opacity": 0.75}},
            unselected={"marker": {"opacity": 0.75 if matches is None else 0.3}},
            showlegend=False,
        )
    )
    if selected is not None and selected in points.clusters:
        at = points.clusters.index(selected)
        figure.add_scatter(
            x=[points.x[at]],
            y=[points.y[at]],
            mode="markers+text",
            text=[f"<b>{selected}</b>"],
            textposition="top center",
            marker={
                "size": max(14.0, LARGEST * math.sqrt(points.sizes[at] / most) + 6),
                "color": "rgba(0,0,0,0)",
                "line": {"width": 3, "color": colour(1, dark=dark)},
            },
            hoverinfo="skip",
            showlegend=False,
        )
    axes = [f"component {n + 1}, {share:.0%} of the variance" for n, share in enumerate(explained)]
    figure.update_layout(
        height=420,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        xaxis={"title": {"text": axes[0], "font": {"size": 12}}, "showticklabels": False, "zeroline": False},
        yaxis={"title": {"text": axes[1], "font": {"size": 12}}, "showticklabels": False, "zeroline": False},
        dragmode="pan",
    )
    return figure
