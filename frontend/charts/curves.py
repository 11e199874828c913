"""Curves of one or many runs: smoothed, on linear or log axes, over steps, epochs or time; mean ± std of groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vise_client.schemas.metrics import Curve

from .marks import Axis, add_marks, lowest, say_if_nothing_is_finite
from .palette import colour, series_style

MOST_WITH_RAW = 12
"""With more lines than this, the raw points behind smoothed lines are noise and double the work."""
MOST_IN_LEGEND = 24
"""So many lines look different. More are drawn without a legend, those of one colour in one stroke."""
CONFIG = {"displayModeBar": False, "doubleClick": "reset", "scrollZoom": False}


@dataclass(frozen=True)
class Line:
    """A curve with the name that the legend shows, and its place in the palette."""

    name: str
    curve: Curve
    position: int = 0


@dataclass(frozen=True)
class Look:
    """How curves are drawn."""

    x: Axis = "step"
    log_x: bool = False
    log_y: bool = False
    smoothing: float = 0.0


def curve_figure(
    title: str,
    lines: Sequence[Line],
    look: Look,
    *,
    dark: bool,
    height: int = 280,
    y_title: str | None = None,
) -> go.Figure:
    """One metric of one or several runs. A smoothed line keeps its raw points, faint; what is not finite has marks."""
    figure = go.Figure()
    unit = _time_unit(lines) if look.x == "time" else ("", 1.0)
    curves = [line.curve for line in lines]
    floor = lowest(curves)
    if len(lines) > MOST_IN_LEGEND:
        _add_crowd(figure, lines, look, unit[1], dark=dark)
        return _finish(figure, title, look, unit[0], height, legend=False, y_title=y_title, crowd=True)
    for line in lines:
        x, y = _points(line.curve, look.x, unit[1])
        style = series_style(line.position, dark=dark)
        if look.smoothing > 0 and len(lines) <= MOST_WITH_RAW:
            figure.add_scatter(
                x=x,
                y=y,
                opacity=0.28,
                line=style | {"width": 1},
                showlegend=False,
                hoverinfo="skip",
                mode="lines",
            )
        figure.add_scatter(
            x=x,
            y=smooth(y, look.smoothing),
            name=line.name,
            mode="lines+markers" if len(x) < 3 else "lines",
            line=style | {"width": 2 if len(lines) <= MOST_WITH_RAW else 1.3},
            hovertemplate="%{y:.5g}"
            + (f"<extra>{line.name[:40]}</extra>" if len(lines) > 1 else "<extra></extra>"),
        )
        add_marks(
            figure,
            line.curve,
            look.x,
            unit[1],
            x,
            smooth(y, look.smoothing),
            name=line.name if len(lines) > 1 else "",
            colour=style["color"],
            floor=floor,
        )
    say_if_nothing_is_finite(figure, curves)
    return _finish(figure, title, look, unit[0], height, legend=len(lines) > 1, y_title=y_title)


def band_figure(
    title: str, groups: Sequence[tuple[str, Sequence[Curve]]], look: Look, *, dark: bool, height: int = 320
) -> go.Figure:
    """Mean and mean ± standard deviation (ddof 1) of each group of curves, where all of a group have points."""
    figure = go.Figure()
    unit = (
        _time_unit([Line("", c) for _, curves in groups for c in curves]) if look.x == "time" else ("", 1.0)
    )
    for position, (name, curves) in enumerate(groups):
        finite = [curve for curve in curves if any(value is not None for value in curve.values)]
        grid, mean, std = mean_and_std([_smoothed(curve, look, unit[1]) for curve in finite])
        if not len(grid):
            continue
        style = series_style(position, dark=dark)
        if std is not None:
            figure.add_scatter(
                x=np.concatenate([grid, grid[::-1]]).tolist(),
                y=np.concatenate([mean + std, (mean - std)[::-1]]).tolist(),
                fill="toself",
                fillcolor=_faint(colour(position, dark=dark)),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=name,
            )
        figure.add_scatter(
            x=grid.tolist(),
            y=mean.tolist(),
            name=f"{name} (n = {len(finite)}{_diverged(curves)})",
            mode="lines",
            line=style | {"width": 2},
            legendgroup=name,
            hovertemplate="%{y:.5g}<extra>" + name[:40] + "</extra>",
        )
    return _finish(figure, title, look, unit[0], height, legend=True)


def _diverged(curves: Sequence[Curve]) -> str:
    some = sum(curve.not_finite > 0 for curve in curves)
    return f"; {some} with NaN or inf" if some else ""


def _add_crowd(figure: go.Figure, lines: Sequence[Line], look: Look, divisor: float, *, dark: bool) -> None:
    """More lines than can be told apart but by pointing at one, which tells its name.

    Plotly works longer on a trace than on its points: the lines of one colour are one trace with gaps.
    """
    strokes: dict[str, list[Line]] = {}
    for line in lines:
        strokes.setdefault(colour(line.position, dark=dark), []).append(line)
    for stroke, members in strokes.items():
        xs: list[float] = []
        ys: list[float] = []
        names: list[str] = []
        for line in members:
            x, y = _points(line.curve, look.x, divisor)
            xs += [*x, math.nan]
            ys += [math.nan if v is None else v for v in smooth(y, look.smoothing)] + [math.nan]
            names += [line.name[:40]] * (len(x) + 1)
        figure.add_scatter(
            # As arrays they go to the browser in binary.
            x=np.array(xs),
            y=np.array(ys),
            customdata=names,
            mode="lines+markers" if all(len(line.curve.steps) < 3 for line in members) else "lines",
            line={"color": stroke, "width": 1.3},
            hovertemplate="%{y:.5g}<extra>%{customdata}</extra>",
        )
    floor = lowest([line.curve for line in lines])
    for line in lines:
        if line.curve.marks:
            x, y = _points(line.curve, look.x, divisor)
            shown = smooth(y, look.smoothing)
            stroke = colour(line.position, dark=dark)
            add_marks(
                figure, line.curve, look.x, divisor, x, shown, name=line.name, colour=stroke, floor=floor
            )


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


Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def mean_and_std(
    curves: Sequence[Points], points: int = 200
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    """(x, mean, std or None for one curve) where all curves have points, each read between its points by lines."""
    found = [(x, y) for x, y in curves if len(x)]
    none = np.array([])
    if not found:
        return none, none, None
    first, last = max(x[0] for x, _ in found), min(x[-1] for x, _ in found)
    if first > last:
        return none, none, None
    grid = np.unique(np.concatenate([x[(x >= first) & (x <= last)] for x, _ in found] + [[first, last]]))
    if len(grid) > points:
        grid = np.linspace(first, last, points)
    values = np.stack([np.interp(grid, x, y) for x, y in found])
    return grid, values.mean(axis=0), values.std(axis=0, ddof=1) if len(found) > 1 else None


def has_epochs(curves: Sequence[Curve]) -> bool:
    return any(epoch is not None for curve in curves for epoch in curve.epochs)


def grid_figure(
    base_lrs: list[float],
    weight_decays: list[float],
    values: list[list[float | None]],
    *,
    title: str = "val, %",
    digits: int = 1,
) -> go.Figure:
    """Val metric over the grid: rows are learning rates, columns weight decays. None: training diverged there."""
    columns, rows = [f"{w:g}" for w in weight_decays], [f"{v:g}" for v in base_lrs]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=columns,
            y=rows,
            colorscale="Cividis",
            texttemplate=f"%{{z:.{digits}f}}",
            colorbar={"title": title, "thickness": 12},
            hoverongaps=False,
        )
    )
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if value is None:
                # A cell without a value has no text of its own. Places, since a name such as 0.01 would be one too.
                figure.add_annotation(x=column, y=row, text="✕ diverged", showarrow=False)
    figure.update_layout(
        height=240,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": "weight decay", "type": "category"},
        yaxis={"title": "base learning rate", "type": "category", "showgrid": False},
    )
    return figure


def _points(curve: Curve, axis: Axis, divisor: float) -> tuple[list[float], list[float | None]]:
    """What is drawn of a curve; points without an epoch have no place on an axis of epochs."""
    if axis == "step":
        return [float(step) for step in curve.steps], curve.values
    if axis == "epoch":
        kept = [(e, v) for e, v in zip(curve.epochs, curve.values, strict=True) if e is not None]
        return [e for e, _ in kept], [v for _, v in kept]
    start = curve.times[0]
    return [(t - start).total_seconds() / divisor for t in curve.times], curve.values


def _smoothed(curve: Curve, look: Look, divisor: float) -> Points:
    x, y = _points(curve, look.x, divisor)
    kept = [(a, b) for a, b in zip(x, smooth(y, look.smoothing), strict=True) if b is not None]
    kept.sort()
    return np.array([a for a, _ in kept]), np.array([b for _, b in kept])


def _time_unit(lines: Sequence[Line]) -> tuple[str, float]:
    span = max(
        ((c.times[-1] - c.times[0]).total_seconds() for c in (line.curve for line in lines) if c.times),
        default=0,
    )
    for name, seconds in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if span >= 2 * seconds:
            return name, seconds
    return "seconds", 1.0


def _finish(
    figure: go.Figure,
    title: str,
    look: Look,
    unit: str,
    height: int,
    *,
    legend: bool,
    y_title: str | None = None,
    crowd: bool = False,
) -> go.Figure:
    names = {"step": "step", "epoch": "epoch", "time": f"{unit} since the first point"}
    figure.update_layout(
        title={"text": title, "font": {"size": 14}},
        height=height,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "y": -0.3, "font": {"size": 11}},
        yaxis={"type": "log" if look.log_y else "linear", "title": y_title, "exponentformat": "power"},
        xaxis={
            "type": "log" if look.log_x else "linear",
            "title": {"text": names[look.x], "font": {"size": 11}},
        },
        hovermode="x unified" if len(figure.data) <= 2 * MOST_WITH_RAW and not crowd else "closest",
        # A live chart keeps its zoom when points come.
        uirevision=f"{title}{look.x}{look.log_x}{look.log_y}",
    )
    return figure


def _faint(hexadecimal: str) -> str:
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
