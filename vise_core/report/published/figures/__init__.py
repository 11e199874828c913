"""The paper's Figures 3–6, as far as its tables and text give their numbers; the drawings themselves are lost."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput

from ..records import Facts, Place, PublishedFigure, PublishedPanel, PublishedPoint
from ..tables import published, read_yaml

FIGURES = ("figure3", "figure4", "figure5", "figure6")

_SUFFIXES = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}

Rows = dict[str, list[str]]
"""Backbone → methods."""


@cache
def published_figure(figure: str) -> PublishedFigure:
    """Return the paper's own figure, such as ``published_figure("figure3")``. Raises BadInput for a name not in ``FIGURES``."""
    if figure not in FIGURES:
        raise BadInput(f"no published numbers of {figure!r}; one of {', '.join(FIGURES)}")
    content = read_yaml(Path(__file__).with_name("figures.yaml"))["figures"][figure]
    content.pop("facts", None)  # an anchor that panels refer to
    sizes = {method: read_size(size) for method, size in content.pop("data_sizes", {}).items()}
    panels = tuple(_panel(panel, sizes) for panel in content.pop("panels"))
    return PublishedFigure(name=figure, panels=panels, **content)


def read_size(size: str) -> float:
    """Parse a data size as Table 1 prints it: ``1.28M`` is 1,280,000."""
    return float(size[:-1]) * _SUFFIXES[size[-1]]


def _panel(panel: dict[str, Any], sizes: dict[str, float]) -> PublishedPanel:
    points = _from_table(panel, panel.get("rows", {}), sizes)
    facts = Facts.model_validate(panel.get("facts", {}))
    if points:
        first = published(panel["table"]).cell(points[0].place.row, panel["column"])  # type: ignore[union-attr]
        facts = Facts(**{name: getattr(first, name) for name in Facts.model_fields})
    lost = tuple(
        PublishedPoint(
            method=method, backbone=backbone, data_size=sizes.get(method), value=None, illegible=True
        )
        for backbone, methods in panel.get("lost", {}).items()
        for method in methods
    )
    said = tuple(
        PublishedPoint(method=method, backbone=None, value=float(value), source="the figure's caption")
        for method, value in panel.get("said", {}).items()
    )
    return PublishedPanel(
        key=panel["key"],
        title=panel["title"],
        points=points + lost + said,
        lines=_from_table(panel, panel.get("lines", {}), sizes),
        **facts.model_copy(update={"backbone": None, "method": None}).model_dump(),
    )


def _from_table(panel: dict[str, Any], rows: Rows, sizes: dict[str, float]) -> tuple[PublishedPoint, ...]:
    points = []
    for backbone, methods in rows.items():
        for method in methods:
            cell = published(panel["table"]).cell(f"{backbone}/{method}", panel["column"])
            points.append(
                PublishedPoint(
                    method=method,
                    backbone=backbone,
                    data_size=sizes.get(method),
                    value=cell.value,
                    std=cell.std,
                    place=Place(table=cell.table, row=cell.row, column=cell.column),
                )
            )
    return tuple(points)
