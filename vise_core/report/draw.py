"""Figures to PNG, SVG or PDF with matplotlib. Our numbers are filled; the paper's, where asked for, are hollow."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from vise_core.specs.models.backbones import BACKBONES
from vise_core.specs.tasks.metrics import METRICS

from .comparable import NOT_RECORDED
from .figures import OurFigure, Panel, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PictureFormat = Literal["png", "svg", "pdf"]
# Okabe and Ito: told apart by the colour-blind too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D1F", "#6B6B6B")
OURS_DASHES = ("--", ":")


def draw(figure: OurFigure, format: PictureFormat, *, published: bool = False) -> bytes:
    """The figure as a file's content; the same data give the same bytes.

    ``published`` draws the paper's own numbers beside ours, hollow and named so in the legend.
    """
    # Only where it is drawn: matplotlib takes half a second to import.
    import matplotlib

    # Text stays text, ids and dates do not change from call to call.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": figure.name, "pdf.fonttype": 42, "font.size": 8}
    with matplotlib.rc_context(settings):
        picture = _picture(figure, published)
        buffer = io.BytesIO()
        dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[format]
        picture.savefig(buffer, format=format, dpi=150, metadata=dates)
    return buffer.getvalue()


def _picture(figure: OurFigure, published: bool) -> Figure:
    from matplotlib.figure import Figure

    columns = min(3, len(figure.panels))
    rows = math.ceil(len(figure.panels) / columns)
    tallest = max(len(panel.points) for panel in figure.panels)
    height = 1.1 + 0.17 * tallest if figure.kind == "bars" else 3.0
    picture = Figure(figsize=(4.3 * columns, (height + 0.7) * rows + 0.5), layout="constrained")
    axes = picture.subplots(rows, columns, squeeze=False).ravel().tolist()
    drawers = {"bars": _bars, "data size": _over_data_size, "backbones": _over_backbones}
    for axis, panel in zip(axes, figure.panels, strict=False):
        axis.set_title(panel.title, fontsize=9)
        drawers[figure.kind](axis, panel, published)
    for axis in axes[len(figure.panels) :]:
        axis.axis("off")
    if figure.kind == "data size":
        _legend(picture, figure, published)
    elif figure.kind == "backbones":
        named: dict[str, Any] = {}
        for axis in axes:
            named |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        if named:
            picture.legend(
                named.values(), named, loc="outside upper center", ncols=4, fontsize=7, frameon=False
            )
    picture.supxlabel(_footnote(figure, published), fontsize=7)
    return picture


def _footnote(figure: OurFigure, published: bool) -> str:
    points = [point for panel in figure.panels for point in panel.points]
    told = [f"{figure.title} of VisE (Jia et al., 2021), from our own runs; bars: ± sample std over splits"]
    if any(point.mean is None for point in points):
        told.append("methods without a mark were not run")
    if any(point.synthetic for point in points):
        told.append("synthetic data: generated, not real")
    if any(not point.recorded for point in points):
        told.append(NOT_RECORDED)
    if published:
        told.append("hollow: published, the paper's own")
    wide = 60 * min(3, len(figure.panels))
    notes = [line for note in figure.data_notes for line in textwrap.wrap(note.text, wide)]
    return "\n".join(["; ".join(told), *notes])


def label(point: Point) -> str:
    """Method and backbone, in short."""
    if point.backbone is None:
        return point.method
    title = BACKBONES[point.backbone].title if point.backbone in BACKBONES else point.backbone
    return f"{point.method}, {title}"


def unit(panel: Panel) -> str:
    """What the axis says."""
    metric = METRICS.get(panel.metric or "")
    return "" if metric is None else metric.title + (", %" if metric.percent else "")


def _bars(axis: Axes, panel: Panel, published: bool) -> None:
    places = range(len(panel.points))
    for place, point in zip(places, panel.points, strict=True):
        colour = COLOURS[0] if point.method.startswith("VisE") else COLOURS[7]
        if point.mean is not None:
            axis.barh(place, point.mean, xerr=point.std or 0, color=colour, height=0.7, ecolor="#222")
        else:
            axis.text(
                0.01, place, "not run", va="center", fontsize=6, color="#767676", transform=_across(axis)
            )
        if published and point.published is not None:
            axis.plot(point.published, place, "o", mfc="none", mec="#000", ms=4)
    for line, dashes in zip(panel.lines, OURS_DASHES * len(panel.lines), strict=False):
        if line.mean is not None:
            axis.axvline(line.mean, color=COLOURS[0], ls=dashes, lw=1)
    axis.set_yticks(list(places), [label(point) for point in panel.points], fontsize=6.5)
    axis.set_ylim(max(len(panel.points), 6) - 0.5, -0.7)  # from above; a single bar stays a bar
    axis.set_xlabel(unit(panel))
    _from_near_the_least(axis, panel.points, published)


def _across(axis: Axes) -> Any:
    return axis.get_yaxis_transform()


def _from_near_the_least(axis: Axes, points: Sequence[Point], published: bool) -> None:
    """Bars start at 0, but for ROC AUC, where chance is 0.5."""
    values = [p.mean for p in points if p.mean is not None]
    values += [p.published for p in points if published and p.published is not None]
    if not values:
        axis.set_xticks([])
    elif max(values) <= 1:
        axis.set_xlim(left=min(0.45, *values))


def _over_data_size(axis: Axes, panel: Panel, published: bool) -> None:
    """One colour and marker a method, named in the figure's legend: labels at the points would cover each other."""
    placed = [point for point in panel.points if point.data_size]
    vise = sorted(
        (p for p in placed if p.mean is not None and p.method.startswith("VisE")),
        key=lambda p: (p.backbone or "", p.data_size or 0),
    )
    for backbone in dict.fromkeys(p.backbone for p in vise):
        line = [p for p in vise if p.backbone == backbone]
        axis.plot([p.data_size or 0 for p in line], [p.mean or 0 for p in line], "-", color=COLOURS[0], lw=1)
    for point in placed:
        colour, marker = _look(point.method)
        size = point.data_size or 1
        if point.mean is not None:
            axis.errorbar(size, point.mean, yerr=point.std or 0, fmt=marker, ms=5, color=colour, capsize=2)
        if published and point.published is not None:
            axis.plot(size, point.published, marker, mfc="none", mec=colour, ms=5)
    for point in panel.points:
        if not point.data_size and point.mean is not None and point.method == "Random Init":
            axis.axhline(point.mean, ls=":", lw=1, color=_look(point.method)[0])
    axis.set_xscale("log")
    axis.set_xlabel("images or pairs seen in pretraining")
    axis.set_ylabel(unit(panel))
    if not any(p.mean is not None or (published and p.published is not None) for p in panel.points):
        axis.text(0.5, 0.5, "not run", ha="center", transform=axis.transAxes, color="#767676")
        axis.set_xlim(1e5, 1e9)


MARKERS = "osD^v<>pPX*h"


def _look(method: str) -> tuple[str, str]:
    """Colour and marker of a method, the same in every panel and figure."""
    if method.startswith("VisE"):
        return COLOURS[0], "o"
    known = (
        "Random Init",
        "IN-Sup",
        "VQAGrid",
        "VirTex",
        "ICMLM-att-fc",
        "ICMLM-tfm",
        "MoCo-v2",
        "CLIP",
        "IG-940M-IN",
    )
    number = known.index(method) if method in known else len(known) + sum(method.encode()) % 7
    return COLOURS[1 + number % (len(COLOURS) - 1)], MARKERS[1 + number % (len(MARKERS) - 1)]


def _legend(picture: Figure, figure: OurFigure, published: bool) -> None:
    from matplotlib.lines import Line2D

    drawn = [
        point.method
        for panel in figure.panels
        for point in panel.points
        if point.mean is not None or (published and point.published is not None)
    ]
    handles = []
    for method in dict.fromkeys("VisE" if name.startswith("VisE") else name for name in drawn):
        colour, marker = _look(method)
        line = ":" if method == "Random Init" else "none"
        handles.append(
            Line2D([], [], color=colour, marker=marker if line == "none" else "", ls=line, label=method)
        )
    if handles:
        picture.legend(handles=handles, loc="outside upper center", ncols=6, fontsize=7, frameon=False)


def _over_backbones(axis: Axes, panel: Panel, published: bool) -> None:
    backbones = list(dict.fromkeys(point.backbone or "" for point in panel.points))
    methods = list(dict.fromkeys(point.method for point in panel.points))
    for number, method in enumerate(sorted(methods)):  # the same colour in every panel
        colour = COLOURS[number % len(COLOURS)]
        mine = [p for p in panel.points if p.method == method]
        run = [p for p in mine if p.mean is not None]
        if run:
            axis.errorbar(
                [backbones.index(p.backbone or "") for p in run],
                [p.mean or 0 for p in run],
                yerr=[p.std or 0 for p in run],
                fmt="-o", ms=4, capsize=2, color=colour, label=method,
            )  # fmt: skip
        paper = [p for p in mine if published and p.published is not None]
        axis.plot(
            [backbones.index(p.backbone or "") for p in paper],
            [p.published or 0 for p in paper],
            "o", mfc="none", mec=colour, ms=5, label=f"{method}, published" if paper else None,
        )  # fmt: skip
    axis.set_xticks(
        range(len(backbones)), [BACKBONES[b].title if b in BACKBONES else b for b in backbones], fontsize=7
    )
    axis.margins(x=0.15)
    axis.set_ylabel(unit(panel))
    if not axis.get_legend_handles_labels()[0]:
        axis.text(0.5, 0.5, "not run", ha="center", transform=axis.transAxes, color="#767676")
