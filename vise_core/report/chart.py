"""Description of a figure's panel for any renderer: axes, series, marks, reference lines and styles.

``draw`` renders it with matplotlib, ``frontend.charts.report_figures`` with Plotly; both read only this description.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Literal

from pydantic import Field

from vise_core.specs.base import Record
from vise_core.specs.tasks.metrics import METRICS

from .point import Point
from .text import backbone_title

Kind = Literal["bars", "data size", "backbones"]
"""A bar for each method; scores over images seen in pretraining (log); a line for each method over backbones."""

VISE, COMPARED = 0, -1
"""Styles by role: VisE's colour, and the neutral grey of methods that bars compare it with. Other series count from 1."""
METHODS = (
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
"""The paper's methods in the order of their styles."""


class Mark(Record):
    """A bar or point of a series."""

    label: str = Field(description="Method and backbone.")
    at: float | str = Field(description="Place on the position axis: a number, or one of its categories.")
    value: float | None = Field(description="Our mean; None: not run.")
    spread: float = Field(0, description="Sample standard deviation over splits.")
    published: float | None = Field(None, description="The paper's value, drawn hollow on request.")
    run: str = Field("", description="Id of a run behind the value.")

    def shows(self, published: bool) -> bool:
        """Return whether there is anything to draw."""
        return self.value is not None or (published and self.published is not None)


class Series(Record):
    """Marks of one colour and symbol; a line joins them in their order where ``connected``."""

    name: str
    style: int = Field(description="0: VisE. -1: neutral. From 1 on: a colour and symbol each.")
    connected: bool
    marks: tuple[Mark, ...]


class Reference(Record):
    """A line across the panel at one of our values."""

    label: str
    value: float
    style: int
    dash: Literal["dash", "dot"]


class Axis(Record):
    """An axis. An axis of scale ``category`` lists its categories in order."""

    title: str = ""
    scale: Literal["linear", "log", "category"] = "linear"
    categories: tuple[str, ...] = ()
    start: float | None = Field(None, description="Least value; None: chosen by the renderer.")


class Chart(Record):
    """A panel of a figure. The position axis of bars runs downwards, their score axis to the right."""

    kind: Literal["bars", "points"]
    position: Axis
    score: Axis
    series: tuple[Series, ...]
    references: tuple[Reference, ...] = ()

    def shown(self, published: bool) -> list[Mark]:
        """Return the marks that have something to draw."""
        return [mark for series in self.series for mark in series.marks if mark.shows(published)]


def chart(kind: Kind, metric: str | None, points: Sequence[Point], lines: Sequence[Point]) -> Chart:
    """Describe a panel of a figure of this kind by its points and reference lines."""
    score = Axis(title=score_title(metric))
    if kind == "bars":
        return _bars(score, points, lines)
    return (_over_data_size if kind == "data size" else _over_backbones)(score, points)


def score_title(metric: str | None) -> str:
    """Return the title of a score axis, such as ``accuracy, %``; empty for an unknown metric."""
    entry = METRICS.get(metric or "")
    return "" if entry is None else entry.title + (", %" if entry.percent else "")


def _bars(score: Axis, points: Sequence[Point], lines: Sequence[Point]) -> Chart:
    """Return bars, one a method. Bars of ROC AUC, where chance is 0.5, start at 0.45 or their least value."""
    values = [value for point in points for value in (point.mean, point.published) if value is not None]
    fraction = bool(values) and max(values) <= 1
    own, compared = ([p for p in points if _is_vise(p) is vise] for vise in (True, False))
    return Chart(
        kind="bars",
        position=Axis(scale="category", categories=tuple(dict.fromkeys(point.label for point in points))),
        score=score.model_copy(update={"start": min(0.45, *values) if fraction else None}),
        series=tuple(
            Series(name=name, style=style, connected=False, marks=_marks((p.label, p) for p in group))
            for name, style, group in (("VisE", VISE, own), ("compared", COMPARED, compared))
            if group
        ),
        references=tuple(
            Reference(label=line.label, value=line.mean, style=VISE, dash=dash)
            for line, dash in zip(lines, cycle(("dash", "dot")), strict=False)
            if line.mean is not None
        ),
    )


def _over_data_size(score: Axis, points: Sequence[Point]) -> Chart:
    """Return a series for each method and a connected one for the VisE models of each backbone.

    Random init saw no data, so it is a reference line.
    """
    placed = [point for point in points if point.data_size]
    vise = sorted((p for p in placed if _is_vise(p)), key=lambda p: p.data_size or 0)
    backbones = list(dict.fromkeys(point.backbone for point in vise))
    series = [
        Series(
            name="VisE" if len(backbones) == 1 else f"VisE, {backbone_title(backbone)}",
            style=VISE,
            connected=True,
            marks=_marks((p.data_size or 0, p) for p in vise if p.backbone == backbone),
        )
        for backbone in backbones
    ]
    others = [point for point in placed if not _is_vise(point)]
    for method in dict.fromkeys(point.method for point in others):
        marks = _marks((p.data_size or 0, p) for p in others if p.method == method)
        series.append(Series(name=method, style=method_style(method), connected=False, marks=marks))
    return Chart(
        kind="points",
        position=Axis(title="images or pairs seen in pretraining", scale="log"),
        score=score,
        series=tuple(series),
        references=tuple(
            Reference(label=point.method, value=point.mean, style=method_style(point.method), dash="dot")
            for point in points
            if point.method == "Random Init" and not point.data_size and point.mean is not None
        ),
    )


def _over_backbones(score: Axis, points: Sequence[Point]) -> Chart:
    """Return a connected series for each method. Styles go in alphabetical order, since several may be VisE."""
    backbones = tuple(dict.fromkeys(backbone_title(point.backbone) for point in points))
    series = tuple(
        Series(
            name=method,
            style=style,
            connected=True,
            marks=_marks((backbone_title(p.backbone), p) for p in points if p.method == method),
        )
        for style, method in enumerate(sorted({point.method for point in points}))
    )
    return Chart(
        kind="points", position=Axis(scale="category", categories=backbones), score=score, series=series
    )


def _marks(placed: Iterable[tuple[float | str, Point]]) -> tuple[Mark, ...]:
    return tuple(
        Mark(
            label=point.label,
            at=at,
            value=point.mean,
            spread=point.std or 0,
            published=point.published,
            run=point.runs[0] if point.runs else "",
        )
        for at, point in placed
    )


def _is_vise(point: Point) -> bool:
    return point.method.startswith("VisE")


def method_style(method: str) -> int:
    """Return a method's style, the same in every panel and figure."""
    if method.startswith("VisE"):
        return VISE
    if method in METHODS:
        return 1 + METHODS.index(method)
    return 1 + len(METHODS) + sum(method.encode()) % 7
