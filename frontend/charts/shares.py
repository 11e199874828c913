"""Horizontal bars of shares: probabilities of classes and clusters, reactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from .palette import NEUTRAL, colour, colours


def share_bars(
    shares: Mapping[str, float], *, marked: str | None = None, share: bool = True, dark: bool
) -> go.Figure:
    """Plot one bar for each name, from the top; ``marked`` has another colour and a bold name.

    Without ``share``, the values are weights and written without a percent sign.
    """
    names = [
        f"<b>{escape(name, quote=False)}</b>" if name == marked else escape(name, quote=False)
        for name in shares
    ]
    values = list(shares.values())
    figure = go.Figure(
        go.Bar(
            x=values,
            y=list(range(len(values))),
            orientation="h",
            text=[f"{value:.1%}" if share else f"{value:.2f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            marker_color=[
                colour(0, dark=dark) if marked is None or name == marked else NEUTRAL for name in shares
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_layout(
        height=26 * len(values) + 8,
        margin={"l": 0, "r": 0, "t": 4, "b": 4},
        bargap=0.35,
        # Space for the number behind the longest bar.
        xaxis={"range": [0, 1.3 * max([*values, 1e-9])], "visible": False, "fixedrange": True},
        yaxis={
            "tickvals": list(range(len(values))),
            "ticktext": names,
            "autorange": "reversed",
            "automargin": True,
            "fixedrange": True,
            "ticklen": 6,
            "tickcolor": "rgba(0,0,0,0)",
        },
    )
    return figure


def stacked_shares(
    rows: Sequence[tuple[str, Mapping[str, float]]], names: Sequence[str], *, dark: bool
) -> go.Figure:
    """Plot one bar for each row, stacked from the shares of ``names``, with a legend."""
    figure = go.Figure()
    palette = colours(dark=dark)
    for position, name in enumerate(names):
        figure.add_bar(
            x=[shares[name] for _, shares in rows],
            y=list(range(len(rows))),
            orientation="h",
            name=name,
            marker={
                "color": palette[position % len(palette)],
                "line": {"width": 1, "color": "rgba(0,0,0,0)"},
            },
            text=[f"{shares[name]:.0%}" if shares[name] >= 0.12 else "" for _, shares in rows],
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate=f"{name} %{{x:.1%}}<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        height=30 * len(rows) + 48,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        bargap=0.3,
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        xaxis={"range": [0, 1], "visible": False, "fixedrange": True},
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [escape(label, quote=False) for label, _ in rows],
            "autorange": "reversed",
            "automargin": True,
            "fixedrange": True,
        },
    )
    return figure
