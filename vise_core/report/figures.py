"""Figures 3–6 from our own runs: the points and the chart of each panel."""

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
    """A panel of a figure: its points, its reference lines, and the chart that shows both."""

    key: str
    paper: str = Field(
        "", description="Key of the paper's panel; shared by several of ours where data or splits differ."
    )
    title: str
    task: str | None
    protocol: str | None
    metric: str | None
    unit: str | None
    points: tuple[Point, ...]
    lines: tuple[Point, ...]
    chart: Chart
    measured: str = Field("", description="Key of the data and splits of our own points; empty for none.")


class OurFigure(Record):
    """A figure of the paper, filled with our own runs."""

    name: str
    title: str
    caption: str
    kind: Kind
    panels: tuple[Panel, ...]
    data_notes: tuple[DataNote, ...] = ()

    @property
    def run(self) -> bool:
        """Return whether any point has a value of our own."""
        return any(point.mean is not None for panel in self.panels for point in panel.points)


def figure(name: str, observations: Sequence[Observation]) -> OurFigure:
    """Fill a figure, such as ``figure3``, with our own runs. Raises BadInput for a name that is not in ``FIGURES``."""
    if name not in FIGURES:
        raise BadInput(f"no figure {name!r} to draw from runs; one of {', '.join(FIGURES)}")
    paper = published_figure(name)
    panel_facts = [_facts(panel) for panel in paper.panels]
    used = [each for each in observations if any(each.fits(facts) for facts in panel_facts)]
    variants = Variants((observation.task, observation.measured) for observation in used)
    return OurFigure(
        name=name,
        title=f"Figure {name.removeprefix('figure')}",
        caption=paper.caption,
        kind=KINDS[name],
        panels=tuple(ours for panel in paper.panels for ours in _panels(panel, used, KINDS[name], variants)),
        data_notes=data_notes(variants),
    )


def _facts(panel: PublishedPanel) -> Facts:
    return Facts(**{name: getattr(panel, name) for name in FACT_NAMES})


def _panels(
    panel: PublishedPanel, observations: Sequence[Observation], kind: Kind, variants: Variants
) -> list[Panel]:
    """Return the panel once for each data and splits that it has values of: these are not compared."""
    facts = _facts(panel)
    fitting = [observation for observation in observations if observation.fits(facts)]
    panels = []
    for key in dict.fromkeys(observation.measured.key for observation in fitting) or [""]:
        ours = _panel(panel, [each for each in fitting if each.measured.key == key], kind)
        label = variants.label(panel.task or "", key)
        titles = (
            {"key": f"{ours.key} ({label})", "title": titled(ours.title.rstrip("."), label)} if label else {}
        )
        panels.append(ours.model_copy(update={"measured": key, **titles}))
    return panels


def _panel(panel: PublishedPanel, fitting: Sequence[Observation], kind: Kind) -> Panel:
    points = [_point(point, fitting) for point in panel.points]
    if points:  # our own methods, on the backbones that the panel is about
        backbones = {point.backbone for point in points}
        known = {(point.method, point.backbone) for point in points}
        if None not in backbones:
            own = [each for each in fitting if (each.method, each.backbone) not in known]
            if kind != "backbones":
                # A backbone that the paper does not have goes into the panel of ResNet-50.
                others = "resnet50" in backbones
                own = [
                    each
                    for each in own
                    if each.backbone in backbones or (others and each.backbone not in PAPER_BACKBONES)
                ]
            points += map(_own, own)
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
    observation = next(
        (
            each
            for each in fitting
            if each.setup == "text" or (each.method, each.backbone) == (point.method, point.backbone)
        ),
        None,
    )
    ours = _own(observation) if observation is not None else None
    return Point(
        method=point.method,
        backbone=point.backbone,
        data_size=(ours.data_size if ours else None) or point.data_size,
        published=point.value,
        published_std=point.std,
        **({"mean": None} if ours is None else ours.model_dump(include=OURS)),
    )


OURS = {"mean", "std", "n", "runs", "synthetic", "cached"}


def _own(observation: Observation) -> Point:
    values = observation.values
    n = len(values)
    mean = sum(values) / n
    return Point(
        method=observation.method,
        backbone=observation.backbone,
        data_size=observation.pretrained_on,
        mean=mean,
        std=(sum((value - mean) ** 2 for value in values) / (n - 1)) ** 0.5 if n > 1 else None,
        n=n,
        runs=(observation.run,) if observation.run else (),
        synthetic=observation.synthetic,
        cached=observation.cached,
    )
