"""Horizontal bars of what adds up to one: probabilities of classes and clusters, shares of reactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from .palette import NEUTRAL, colour, colours


def share_bars(
    shares: Mapping[str, float], *, marked: str | None = None, share: bool = True, dark: bool
) -> go.Figure:
    """One bar a name, in the given order from the top; ``marked`` stands out, by colour and by its bold name.

    Without ``share`` the values are weights, written as they are.
    """
    names = [f"<b>{_plain(name)}</b>" if name == marked else _plain(name) for name in shares]
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
        # Room for the number behind the longest bar.
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
    """One bar a row, divided into the shares of ``names``, which the legend tells."""
    figure = go.Figure()
    found = colours(dark=dark)
    for position, name in enumerate(names):
        figure.add_bar(
            x=[shares[name] for _, shares in rows],
            y=list(range(len(rows))),
            orientation="h",
            name=name,
            marker={"color": found[position % len(found)], "line": {"width": 1, "color": "rgba(0,0,0,0)"}},
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
            "ticktext": [_plain(label) for label, _ in rows],
            "autorange": "reversed",
            "automargin": True,
            "fixedrange": True,
        },
    )
    return figure


def _plain(text: str) -> str:
    """Plotly reads a few HTML tags in texts: none come from data."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
