"""Figures 3–6 from our own runs: the points of each panel, and the description of what its chart shows."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from vise_core.errors import BadInput
from vise_core.specs.base import Record

from .chart import Chart, Kind, chart
from .comparable import Variants, titled
from .observations import FACT_NAMES, Observation
from .point import Point
from .published import FIGURES, Facts, PublishedPanel, PublishedPoint, published_figure
from .reproduced import DataNote, data_notes

KINDS: dict[str, Kind] = {
    "figure3": "bars",
    "figure4": "data size",
    "figure5": "backbones",
    "figure6": "bars",
}


class Panel(Record):
    """One panel: its points, its reference lines, and the chart that shows both."""

    key: str
    paper: str = Field(
        "", description="Key of the paper's panel; several of ours where data or splits differ."
    )
    title: str
    task: str | None
    protocol: str | None
    metric: str | None
    unit: str | None
    points: tuple[Point, ...]
    lines: tuple[Point, ...]
    chart: Chart
    measured: str = Field("", description="Stands for the data and splits of our own points; empty for none.")


class OurFigure(Record):
    """A figure of the paper, from our runs."""

    name: str
    title: str
    caption: str
    kind: Kind
    panels: tuple[Panel, ...]
    data_notes: tuple[DataNote, ...] = ()

    @property
    def run(self) -> bool:
        return any(point.mean is not None for panel in self.panels for point in panel.points)


def figure(name: str, observations: Sequence[Observation]) -> OurFigure:
    """``figure3`` and the like from our own runs. Raises BadInput for a name that is not in ``FIGURES``."""
    if name not in FIGURES:
        raise BadInput(f"no figure {name!r} to draw from runs; one of {', '.join(FIGURES)}")
    paper = published_figure(name)
    asked = [_facts(panel) for panel in paper.panels]
    used = [one for one in observations if any(one.fits(facts) for facts in asked)]
    variants = Variants((one.task, one.measured) for one in used)
    return OurFigure(
        name=name,
        title=f"Figure {name.removeprefix('figure')}",
        caption=paper.caption,
        kind=KINDS[name],
        panels=tuple(one for panel in paper.panels for one in _panels(panel, used, KINDS[name], variants)),
        data_notes=data_notes(variants),
    )


def _facts(panel: PublishedPanel) -> Facts:
    return Facts(**{name: getattr(panel, name) for name in FACT_NAMES})


def _panels(
    panel: PublishedPanel, observations: Sequence[Observation], kind: Kind, variants: Variants
) -> list[Panel]:
    """The panel, once for each data and splits that it has numbers of: they are not compared."""
    facts = _facts(panel)
    fitting = [one for one in observations if one.fits(facts)]
    made = []
    for key in dict.fromkeys(one.measured.key for one in fitting) or [""]:
        one = _panel(panel, [each for each in fitting if each.measured.key == key], kind)
        label = variants.label(panel.task or "", key)
        titles = (
            {"key": f"{one.key} ({label})", "title": titled(one.title.rstrip("."), label)} if label else {}
        )
        made.append(one.model_copy(update={"measured": key, **titles}))
    return made


def _panel(panel: PublishedPanel, fitting: Sequence[Observation], kind: Kind) -> Panel:
    points = [_point(point, fitting) for point in panel.points]
    if points:  # our own methods, on the backbones that the panel is about
        backbones = {point.backbone for point in points}
        known = {(point.method, point.backbone) for point in points}
        if None not in backbones:
            own = [one for one in fitting if (one.method, one.backbone) not in known]
            if kind != "backbones":
                # A backbone that the paper has not goes with ResNet-50's panel.
                others = "resnet50" in backbones
                own = [
                    one
                    for one in own
                    if one.backbone in backbones or (others and one.backbone not in PAPER_BACKBONES)
                ]
            points += [_own(one) for one in own]
    lines = tuple(_point(line, fitting) for line in panel.lines)
    return Panel(
        key=panel.key,
        paper=panel.key,
        title=panel.title,
        task=panel.task,
        protocol=panel.protocol,
        metric=panel.metric,
        unit=panel.unit,
        points=tuple(points),
        lines=lines,
        chart=chart(kind, panel.metric, points, lines),
    )


PAPER_BACKBONES = frozenset({"resnet50", "resnet101", "resnext101_32x16d"})


def _point(point: PublishedPoint, fitting: Sequence[Observation]) -> Point:
    # The text encoder alone has no backbone.
    found = next(
        (
            one
            for one in fitting
            if one.setup == "text" or (one.method, one.backbone) == (point.method, point.backbone)
        ),
        None,
    )
    ours = _own(found) if found is not None else None
    return Point(
        method=point.method,
        backbone=point.backbone,
        data_size=(ours.data_size if ours else None) or point.data_size,
        published=point.value,
        published_std=point.std,
        **({"mean": None} if ours is None else ours.model_dump(include=OURS)),
    )


OURS = {"mean", "std", "n", "runs", "synthetic", "cached", "recorded"}


def _own(one: Observation) -> Point:
    n = len(one.values)
    mean = sum(one.values) / n
    spread = (sum((value - mean) ** 2 for value in one.values) / (n - 1)) ** 0.5 if n > 1 else None
    return Point(
        method=one.method,
        backbone=one.backbone,
        data_size=one.pretrained_on,
        mean=mean,
        std=spread,
        n=n,
        runs=(one.run,) if one.run else (),
        synthetic=one.synthetic,
        cached=one.cached,
        recorded=one.measured.recorded,
    )
