"""The hyperparameter grid of an evaluation as a heat map."""

from __future__ import annotations

import plotly.graph_objects as go

from frontend.charts.palette import SEQUENTIAL


def grid_figure(
    base_lrs: list[float],
    weight_decays: list[float],
    values: list[list[float | None]],
    *,
    title: str = "val, %",
    digits: int = 1,
) -> go.Figure:
    """Plot the validation metric by learning rate (rows) and weight decay (columns); None marks a diverged training."""
    columns, rows = [f"{w:g}" for w in weight_decays], [f"{v:g}" for v in base_lrs]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=columns,
            y=rows,
            colorscale=SEQUENTIAL,
            texttemplate=f"%{{z:.{digits}f}}",
            colorbar={"title": title, "thickness": 12},
            hoverongaps=False,
        )
    )
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if value is None:
                # A cell without a value shows no text. By position: the label 0.01 would be read as a position too.
                figure.add_annotation(x=column, y=row, text="✕ diverged", showarrow=False)
    figure.update_layout(
        height=240,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": "weight decay", "type": "category"},
        yaxis={"title": "base learning rate", "type": "category", "showgrid": False},
    )
    return figure
