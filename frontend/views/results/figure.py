"""A figure of the paper with our own results, and its numbers as a table."""

from __future__ import annotations

import streamlit as st

from frontend.charts.palette import STATIC, is_dark
from frontend.charts.report_figures import panel_chart
from frontend.components.figure import show_figure
from frontend.components.table import Cell, show_table
from frontend.formatting import plain
from frontend.session import client
from frontend.style import synthetic_badge
from frontend.views.results.export import export_buttons, footnotes, no_runs_yet
from frontend.views.results.filters import Query
from vise_core.report import OurFigure
from vise_core.report.figures import Panel
from vise_core.report.point import Point
from vise_core.report.published import published_figure
from vise_core.specs.reports.tables import ReportEntry


def paper_figure(entry: ReportEntry, query: Query) -> None:
    """Draw a figure of the paper with our runs."""
    published = st.toggle(
        "Published numbers",
        key="published",
        bind="query-params",
        help="Show the paper's own numbers as hollow marks.",
    )
    figure = OurFigure.model_validate(client().report_data(entry.name, **query))
    if not figure.run:
        no_runs_yet(entry)
    if any(point.synthetic for panel in figure.panels for point in panel.points):
        st.markdown(synthetic_badge(True))
    panels = [panel for panel in figure.panels if panel.chart.shown(published)]
    n_columns = 3 if figure.kind == "bars" else 2
    for row in (panels[start : start + n_columns] for start in range(0, len(panels), n_columns)):
        for column, panel in zip(st.columns(n_columns), row, strict=False):
            with column:
                st.header(plain(panel.title.rstrip(".")), anchor=False)
                show_figure(
                    panel_chart(panel.chart, published=published, dark=is_dark()),
                    key=f"{entry.name}-{panel.key}",
                    config=STATIC,
                    alt=f"{entry.title}, {panel.title}; the table below has the numbers",
                )
    _numbers(entry, figure, panels, published)
    export_buttons(entry.name, entry.formats, query | {"published": published})


def _numbers(entry: ReportEntry, figure: OurFigure, panels: list[Panel], published: bool) -> None:
    points = [(panel, point) for panel in panels for point in panel.points if point.shows(published)]
    if not points:
        return
    of_paper = {
        (panel.key, point.method, point.backbone)
        for panel in published_figure(entry.name).panels
        for point in panel.points
    }
    rows = []
    for panel, point in points:
        cells = _our_cells(panel, point)
        if published:
            cells.append(
                _published_cell(panel, point, (panel.paper, point.method, point.backbone) in of_paper)
            )
        rows.append(([panel.title.rstrip("."), point.label], cells))
    st.header("Numbers", anchor=False)
    show_table(
        f"Numbers of {entry.title}",
        [("ours",), ("n",), ("published",)] if published else [("ours",), ("n",)],
        rows,
        ["Panel", "Method"],
        ["mean ± sample standard deviation (ddof 1) over splits"],
        [note.text for note in figure.data_notes],
    )


def _our_cells(panel: Panel, point: Point) -> list[Cell]:
    if point.mean is None:
        return [Cell("not run", quiet=True), Cell("", quiet=True)]
    digits = _digits(panel)
    std = "" if point.std is None else f" ± {point.std:.{digits}f}"
    letters = ("s" if point.synthetic else "") + ("c" if point.cached else "")
    return [Cell(f"{point.mean:.{digits}f}{std}", footnotes(letters), point.runs), Cell(str(point.n))]


def _published_cell(panel: Panel, point: Point, of_paper: bool) -> Cell:
    """The paper's number; ``lost`` where the figure has the point without a legible number."""
    if point.published is None:
        return Cell("lost" if of_paper else "–", quiet=True)
    return Cell(f"{point.published:.{_digits(panel)}f}")


def _digits(panel: Panel) -> int:
    return 2 if panel.chart.score.title.endswith("%") else 4
