"""Curves of one or several runs over steps, epochs or time, smoothed; mean ± standard deviation of groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vise_client.schemas.metrics import Curve

from .marks import Axis, add_marks, lowest, note_if_not_finite
from .palette import colour, series_style

MOST_WITH_RAW = 12
"""Lines up to which raw curves are drawn behind smoothed ones; with more they are clutter."""
MOST_IN_LEGEND = 24
"""So many lines options different. More are drawn without a legend, those of one colour in one stroke."""
CONFIG = {"displayModeBar": False, "doubleClick": "reset", "scrollZoom": False}


@dataclass(frozen=True)
class Line:
    """A curve, its name in the legend, and its position in the palette."""

    name: str
    curve: Curve
    position: int = 0


@dataclass(frozen=True)
class CurveOptions:
    """Axis, scales and smoothing of curves."""

    x: Axis = "step"
    log_x: bool = False
    log_y: bool = False
    smoothing: float = 0.0


def curve_figure(
    title: str,
    lines: Sequence[Line],
    options: CurveOptions,
    *,
    dark: bool,
    height: int = 280,
    y_title: str | None = None,
) -> go.Figure:
    """Plot one metric of one or several runs: smoothed over the faint raw curve, with marks where it is not finite."""
    figure = go.Figure()
    unit = _time_unit(lines) if options.x == "time" else ("", 1.0)
    curves = [line.curve for line in lines]
    floor = lowest(curves)
    if len(lines) > MOST_IN_LEGEND:
        _add_crowd(figure, lines, options, unit[1], dark=dark)
        return _finish(figure, title, options, unit[0], height, legend=False, y_title=y_title, crowd=True)
    for line in lines:
        x, y = _points(line.curve, options.x, unit[1])
        style = series_style(line.position, dark=dark)
        if options.smoothing > 0 and len(lines) <= MOST_WITH_RAW:
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
            y=smooth(y, options.smoothing),
            name=line.name,
            mode="lines+markers" if len(x) < 3 else "lines",
            line=style | {"width": 2 if len(lines) <= MOST_WITH_RAW else 1.3},
            hovertemplate="%{y:.5g}"
            + (f"<extra>{line.name[:40]}</extra>" if len(lines) > 1 else "<extra></extra>"),
        )
        add_marks(
            figure,
            line.curve,
            options.x,
            unit[1],
            x,
            smooth(y, options.smoothing),
            name=line.name if len(lines) > 1 else "",
            colour=style["color"],
            floor=floor,
        )
    note_if_not_finite(figure, curves)
    return _finish(figure, title, options, unit[0], height, legend=len(lines) > 1, y_title=y_title)


def band_figure(
    title: str,
    groups: Sequence[tuple[str, Sequence[Curve]]],
    options: CurveOptions,
    *,
    dark: bool,
    height: int = 320,
) -> go.Figure:
    """Plot the mean ± standard deviation (ddof 1) of each group, over the range that all its curves cover."""
    figure = go.Figure()
    unit = (
        _time_unit([Line("", c) for _, curves in groups for c in curves])
        if options.x == "time"
        else ("", 1.0)
    )
    for position, (name, curves) in enumerate(groups):
        finite = [curve for curve in curves if any(value is not None for value in curve.values)]
        grid, mean, std = mean_and_std([_smoothed(curve, options, unit[1]) for curve in finite])
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
    return _finish(figure, title, options, unit[0], height, legend=True)


def _diverged(curves: Sequence[Curve]) -> str:
    some = sum(curve.not_finite > 0 for curve in curves)
    return f"; {some} with NaN or inf" if some else ""


def _add_crowd(
    figure: go.Figure, lines: Sequence[Line], options: CurveOptions, divisor: float, *, dark: bool
) -> None:
    """Add more lines than have distinct styles; hovering names a line.

    Traces cost Plotly more than points, so that all lines of one colour are one trace with gaps.
    """
    strokes: dict[str, list[Line]] = {}
    for line in lines:
        strokes.setdefault(colour(line.position, dark=dark), []).append(line)
    for stroke, members in strokes.items():
        xs: list[float] = []
        ys: list[float] = []
        names: list[str] = []
        for line in members:
            x, y = _points(line.curve, options.x, divisor)
            xs += [*x, math.nan]
            ys += [math.nan if v is None else v for v in smooth(y, options.smoothing)] + [math.nan]
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
            x, y = _points(line.curve, options.x, divisor)
            shown = smooth(y, options.smoothing)
            stroke = colour(line.position, dark=dark)
            add_marks(
                figure, line.curve, options.x, divisor, x, shown, name=line.name, colour=stroke, floor=floor
            )


def smooth(values: Sequence[float | None], weight: float) -> list[float | None]:
    """Return the exponential moving average, corrected for its start; gaps stay gaps."""
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
    """Interpolate the curves linearly on the x range that all cover: (x, mean, std); std is None for one curve."""
    curves = [(x, y) for x, y in curves if len(x)]
    none = np.array([])
    if not curves:
        return none, none, None
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if first > last:
        return none, none, None
    grid = np.unique(np.concatenate([x[(x >= first) & (x <= last)] for x, _ in curves] + [[first, last]]))
    if len(grid) > points:
        grid = np.linspace(first, last, points)
    values = np.stack([np.interp(grid, x, y) for x, y in curves])
    return grid, values.mean(axis=0), values.std(axis=0, ddof=1) if len(curves) > 1 else None


def has_epochs(curves: Sequence[Curve]) -> bool:
    """Return True if any point of the curves has an epoch."""
    return any(epoch is not None for curve in curves for epoch in curve.epochs)


def _points(curve: Curve, axis: Axis, divisor: float) -> tuple[list[float], list[float | None]]:
    """The x and y values of a curve; on the axis of epochs, points without an epoch are left out."""
    if axis == "step":
        return [float(step) for step in curve.steps], curve.values
    if axis == "epoch":
        kept = [(e, v) for e, v in zip(curve.epochs, curve.values, strict=True) if e is not None]
        return [e for e, _ in kept], [v for _, v in kept]
    start = curve.times[0]
    return [(t - start).total_seconds() / divisor for t in curve.times], curve.values


def _smoothed(curve: Curve, options: CurveOptions, divisor: float) -> Points:
    x, y = _points(curve, options.x, divisor)
    kept = [(a, b) for a, b in zip(x, smooth(y, options.smoothing), strict=True) if b is not None]
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
    options: CurveOptions,
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
        yaxis={"type": "log" if options.log_y else "linear", "title": y_title, "exponentformat": "power"},
        xaxis={
            "type": "log" if options.log_x else "linear",
            "title": {"text": names[options.x], "font": {"size": 11}},
        },
        hovermode="x unified" if len(figure.data) <= 2 * MOST_WITH_RAW and not crowd else "closest",
        # A live chart keeps its zoom when points are added.
        uirevision=f"{title}{options.x}{options.log_x}{options.log_y}",
    )
    return figure


def _faint(hexadecimal: str) -> str:
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
