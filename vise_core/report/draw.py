"""Draw Figures 3–6 with matplotlib as PNG, SVG or PDF. The paper's own numbers are hollow marks."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from vise_core.escaping import plot_escape

from .chart import COMPARED, VISE, Axis, Chart, Mark
from .figures import OurFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PictureFormat = Literal["png", "svg", "pdf"]
# Okabe and Ito: the colour-blind distinguish them too.
VISE_COLOUR, COMPARED_COLOUR = "#0072B2", "#6B6B6B"
COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D1F", "#6B6B6B")
MARKERS = "sD^v<>pPX*h"
DASHES = {"dash": "--", "dot": ":"}
QUIET = "#767676"


def draw(figure: OurFigure, format: PictureFormat, *, published: bool = False) -> bytes:
    """Return a figure as the content of a file; the same data give the same bytes.

    ``published`` draws the paper's own numbers beside ours, hollow, and says so below the figure.
    """
    # Imported here: matplotlib takes half a second.
    import matplotlib

    # Text stays text, ids and dates do not change from call to call.
    settings: Any = {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "svg.hashsalt": figure.name,
        "pdf.fonttype": 42,
        "font.size": 8,
    }
    with matplotlib.rc_context(settings):
        picture = _picture(figure, published)
        buffer = io.BytesIO()
        dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[format]
        picture.savefig(buffer, format=format, dpi=150, metadata=dates)
    return buffer.getvalue()


def _picture(figure: OurFigure, published: bool) -> Figure:
    from matplotlib.figure import Figure

    charts = [panel.chart for panel in figure.panels]
    columns = min(3, len(charts))
    rows = math.ceil(len(charts) / columns)
    longest = max((len(chart.position.categories) for chart in charts if chart.kind == "bars"), default=0)
    height = 1.1 + 0.17 * longest if longest else 3.0
    picture = Figure(figsize=(4.3 * columns, (height + 0.7) * rows + 0.5), layout="constrained")
    axes = picture.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis, panel in zip(axes, figure.panels, strict=False):
        axis.set_title(plot_escape(panel.title), fontsize=9)
        (_bars if panel.chart.kind == "bars" else _points)(axis, panel.chart, published)
    for axis in axes[len(charts) :]:
        axis.axis("off")
    _legend(picture, [chart for chart in charts if chart.kind == "points"], published)
    picture.supxlabel(plot_escape(_footnote(figure, published)), fontsize=7)
    return picture


def _footnote(figure: OurFigure, published: bool) -> str:
    points = [point for panel in figure.panels for point in panel.points]
    notes = [f"{figure.title} of VisE (Jia et al., 2021), from our own runs; bars: ± sample std over splits"]
    if any(point.mean is None for point in points):
        notes.append("methods without a mark were not run")
    if any(point.synthetic for point in points):
        notes.append("synthetic data: generated, not real")
    if published:
        notes.append("hollow: published, the paper's own")
    width = 60 * min(3, len(figure.panels))
    data_notes = [line for note in figure.data_notes for line in textwrap.wrap(note.text, width)]
    return "\n".join(["; ".join(notes), *data_notes])


def _style(style: int) -> tuple[str, str]:
    """Return the colour and marker of a series."""
    if style in (VISE, COMPARED):
        return (VISE_COLOUR if style == VISE else COMPARED_COLOUR), "o"
    return COLOURS[(style - 1) % len(COLOURS)], MARKERS[(style - 1) % len(MARKERS)]


def _bars(axis: Axes, chart: Chart, published: bool) -> None:
    labels = chart.position.categories
    for series in chart.series:
        colour, _ = _style(series.style)
        for mark in series.marks:
            place = labels.index(mark.label)
            if mark.value is None:
                _not_run(axis, 0.01, place, ha="left", transform=axis.get_yaxis_transform(), fontsize=6)
            else:
                axis.barh(place, mark.value, xerr=mark.spread, color=colour, height=0.7, ecolor="#222")
            if published and mark.published is not None:
                axis.plot(mark.published, place, "o", mfc="none", mec="#000", ms=4)
    for line in chart.references:
        axis.axvline(line.value, color=_style(line.style)[0], ls=DASHES[line.dash], lw=1)
    axis.set_yticks(range(len(labels)), list(map(plot_escape, labels)), fontsize=6.5)
    axis.set_ylim(
        max(len(labels), 6) - 0.5, -0.7
    )  # downwards; room for six, so that a single bar stays a bar
    axis.set_xlabel(chart.score.title)
    if not chart.shown(published):
        axis.set_xticks([])
    elif chart.score.start is not None:
        right = axis.get_xlim()[1]
        axis.set_xlim(chart.score.start, right + 0.04 * (right - chart.score.start))


def _points(axis: Axes, chart: Chart, published: bool) -> None:
    for series in chart.series:
        colour, marker = _style(series.style)
        run = [(_place(chart.position, mark), mark) for mark in series.marks if mark.value is not None]
        if run:
            axis.errorbar(
                [place for place, _ in run],
                [mark.value or 0 for _, mark in run],
                yerr=[mark.spread for _, mark in run],
                fmt=f"{marker}{'-' if series.connected else ''}", ms=5, lw=1, capsize=2, color=colour,
            )  # fmt: skip
        for mark in series.marks:
            if published and mark.published is not None:
                axis.plot(_place(chart.position, mark), mark.published, marker, mfc="none", mec=colour, ms=5)
    for line in chart.references:
        axis.axhline(line.value, ls=DASHES[line.dash], lw=1, color=_style(line.style)[0])
    axis.set_xlabel(chart.position.title)
    axis.set_ylabel(chart.score.title)
    if chart.position.scale == "log":
        axis.set_xscale("log")
    else:
        categories = chart.position.categories
        axis.set_xticks(range(len(categories)), list(map(plot_escape, categories)), fontsize=7)
        axis.set_xlim(-0.3, len(categories) - 0.7)
    if not chart.shown(published):
        _not_run(axis, 0.5, 0.5, ha="center", transform=axis.transAxes)
        if chart.position.scale == "log":
            axis.set_xlim(1e5, 1e9)


def _place(position: Axis, mark: Mark) -> float:
    return position.categories.index(mark.at) if isinstance(mark.at, str) else mark.at


def _not_run(axis: Axes, x: float, y: float, **options: Any) -> None:
    axis.text(x, y, "not run", va="center", color=QUIET, **options)


def _legend(picture: Figure, charts: Sequence[Chart], published: bool) -> None:
    """Name each series and reference line once for all panels."""
    from matplotlib.lines import Line2D

    handles: dict[str, Line2D] = {}
    for chart in charts:
        for series in chart.series:
            colour, marker = _style(series.style)
            line = "-" if series.connected else "none"
            if any(mark.shows(published) for mark in series.marks):
                handles.setdefault(
                    series.name,
                    Line2D(
                        [], [], color=colour, marker=marker, ls=line, ms=5, label=plot_escape(series.name)
                    ),
                )
        for reference in chart.references:
            colour, _ = _style(reference.style)
            handles.setdefault(
                reference.label,
                Line2D([], [], color=colour, ls=DASHES[reference.dash], label=plot_escape(reference.label)),
            )
    if handles:
        picture.legend(
            handles=list(handles.values()), loc="outside upper center", ncols=6, fontsize=7, frameon=False
        )
