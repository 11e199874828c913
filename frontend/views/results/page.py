"""Results: the table of our own evaluations, and the paper's tables and figures filled by them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import streamlit as st

from frontend.charts.palette import is_dark
from frontend.charts.report_figures import panel_chart
from frontend.components.layout import empty, loading, page_title
from frontend.components.table import Cell, show_table
from frontend.session import client, show_errors
from frontend.style import synthetic_badge
from frontend.views.results.paired import paired_rows
from vise_client.client import ViseClient
from vise_client.errors import ApiError
from vise_core.report import OurFigure, QualitativeFigure, ReproducedTable
from vise_core.report.comparable import NOT_RECORDED
from vise_core.report.figures import Panel
from vise_core.report.point import Point
from vise_core.report.published import published_figure
from vise_core.report.render import data_notes, difference_text, heading, marks, missing_text, notes, our_text
from vise_core.report.reproduced import SETTINGS, OurCell, Row
from vise_core.report.reproduced import Cell as TableCell
from vise_core.report.text import backbone_title
from vise_core.specs.reports.tables import ENDINGS, Choices, ReportEntry, ReportFormat

ALL = "All evaluations"
ANY = "any"
DATA = {ANY: None, "real data": False, "synthetic data": True}
TABLE_FORMATS: tuple[ReportFormat, ...] = ("markdown", "csv", "latex")
LABELS: dict[ReportFormat, str] = {
    "markdown": "Markdown", "csv": "CSV", "latex": "LaTeX", "png": "PNG", "svg": "SVG", "pdf": "PDF",
}  # fmt: skip


def filters(choices: Choices) -> dict[str, Any]:
    """What is asked for, as the API takes it; kept in the address."""
    with st.container(horizontal=True):
        chosen = {
            name: _filter(title, name, options)
            for title, name, options in (
                ("Task", "task", choices.tasks),
                ("Protocol", "protocol", choices.protocols),
                ("Backbone", "backbone", choices.backbones),
                ("Method", "method", choices.methods),
                ("Tag", "tag", choices.tags),
            )
        }
        data = st.selectbox("Data", list(DATA), key="data", bind="query-params", width=146)
    return chosen | {"synthetic": DATA[data]}


def _filter(title: str, name: str, options: Iterable[str]) -> str | None:
    chosen: str = st.selectbox(title, [ANY, *options], key=name, bind="query-params", width=146)
    return None if chosen == ANY else chosen


def all_evaluations(query: dict[str, Any]) -> None:
    st.write(
        "The newest evaluation of each method, backbone, task and protocol, a column for each data and splits: our own "
        "runs, not the paper's."
    )
    try:
        table = client().evaluation_table(**query)
    except ApiError as error:
        if error.problem.status != 404:
            raise
        nothing(query)
        return
    rows = [
        (
            [row.method, row.backbone],
            [
                Cell("–", quiet=True)
                if cell is None
                else Cell(cell.value, f"{cell.difference} {_letters(cell.marks)}", (cell.run,), cell.best)
                for cell in row.cells
            ],
        )
        for row in table.rows
    ]
    headings = [(column,) for column in table.columns]
    show_table(ALL, headings, rows, ["Method", "Backbone"], table.notes, table.data_notes)
    downloads("results", TABLE_FORMATS, query)
    paired_rows(
        {
            f"{row.method} ({row.backbone})": {
                column: cell.run
                for column, cell in zip(table.columns, row.cells, strict=True)
                if cell is not None
            }
            for row in table.rows
        }
    )


def nothing(query: dict[str, Any]) -> None:
    if any(value is not None for value in query.values()):
        empty("No evaluation fits these filters.", "Choose “any” in some of them.")
        return
    empty(
        "No evaluation has succeeded yet.",
        "The sample recipe makes three on synthetic data, in minutes.",
        page="launch",
        label="Launch a recipe",
    )


def paper_table(entry: ReportEntry, query: dict[str, Any]) -> None:
    with st.container(horizontal=True):
        published = st.toggle(
            "Published numbers",
            key="published",
            bind="query-params",
            help="The paper's own, marked so, below ours.",
        )
        every = st.toggle(
            "Rows that were not run",
            key="missing",
            bind="query-params",
            help="Every row of the paper, with what is missing.",
        )
    table = ReproducedTable.model_validate(client().report_data(entry.name, **query))
    if not any(row.run for row in table.rows):
        empty(
            f"Nothing of {entry.title} has been run yet.",
            "A recipe fills it: at the paper's scale, or tiny on synthetic data.",
            page="launch",
            label="Launch a recipe",
        )
    if not every and not published:
        table = table.only_run()
    if table.rows and table.columns:
        named = "Backbone" in table.row_headings
        rows = [
            (
                [backbone_title(row.backbone), row.label] if named else [row.label],
                [
                    _table_cell(cell, row, column, missing_text(table, row, column), published)
                    for cell, column in zip(row.cells, table.columns, strict=True)
                ],
            )
            for row in table.rows
        ]
        left = ["Backbone", "Method"] if named else [table.row_headings[-1]]
        told = notes(table, "ours")
        if published:
            told.append("published: the paper's own numbers, not ours")
        headings = [column.title for column in table.columns]
        show_table(entry.title, headings, rows, left, told, data_notes(table))
    downloads(entry.name, entry.formats, query | {"published": published, "only_run": not every})
    paired_rows(
        {
            f"{row.label} ({backbone_title(row.backbone)})" if row.backbone else row.label: {
                heading(column): cell.ours.runs[0]
                for cell, column in zip(row.cells, table.columns, strict=True)
                if cell.ours is not None and _tested(cell.ours)
            }
            for row in table.rows
            if any(cell.ours is not None and _tested(cell.ours) for cell in row.cells)
        }
    )


def _tested(ours: OurCell) -> bool:
    """Whether it is a score over splits."""
    return len(ours.runs) == 1 and ours.metric not in SETTINGS and len(ours.values) > 1


def _table_cell(cell: TableCell, row: Row, column: Any, missing: str, published: bool) -> Cell:
    paper = None
    if published and row.published:
        paper = (cell.published.printed if cell.published else None) or "illegible"
    if cell.ours is None:
        return Cell(missing, published=paper, quiet=True)
    n = f"n={len(cell.ours.values)}" if cell.ours.std is not None and cell.ours.metric not in SETTINGS else ""
    after = " ".join(filter(None, (n, difference_text(cell.ours, column), _letters(marks(cell.ours)))))
    return Cell(our_text(cell.ours, column), after, cell.ours.runs, cell.ours.best, paper)


def _letters(found: str) -> str:
    return f"[{found}]" if found else ""


def paper_figure(entry: ReportEntry, query: dict[str, Any]) -> None:
    published = st.toggle(
        "Published numbers",
        key="published",
        bind="query-params",
        help="The paper's own: hollow, and marked so.",
    )
    figure = OurFigure.model_validate(client().report_data(entry.name, **query))
    if not figure.run:
        empty(
            f"Nothing of {entry.title} has been run yet.",
            "A recipe fills it: at the paper's scale, or tiny on synthetic data.",
            page="launch",
            label="Launch a recipe",
        )
    if any(point.synthetic for panel in figure.panels for point in panel.points):
        st.markdown(synthetic_badge(True))
    panels = [panel for panel in figure.panels if panel.chart.shown(published)]
    wide = 3 if figure.kind == "bars" else 2
    for row in (panels[at : at + wide] for at in range(0, len(panels), wide)):
        for place, panel in zip(st.columns(wide), row, strict=False):
            with place:
                st.header(panel.title.rstrip("."), anchor=False)
                st.plotly_chart(
                    panel_chart(panel.chart, published=published, dark=is_dark()),
                    key=f"{entry.name}-{panel.key}",
                    config={"displayModeBar": False},
                    alt=f"{entry.title}, {panel.title}; the table below has the numbers",
                )
    points = [(panel, point) for panel in panels for point in panel.points if point.shows(published)]
    of_paper = {
        (panel.key, point.method, point.backbone)
        for panel in published_figure(entry.name).panels
        for point in panel.points
    }
    if points:
        st.header("The numbers", anchor=False)
        show_table(
            f"The numbers of {entry.title}",
            [("ours",), ("n",), ("published",)] if published else [("ours",), ("n",)],
            [
                (
                    [panel.title.rstrip("."), point.label],
                    _point_cells(
                        panel, point, published, (panel.paper, point.method, point.backbone) in of_paper
                    ),
                )
                for panel, point in points
            ],
            ["Panel", "Method"],
            [
                "mean ± sample standard deviation (ddof 1) over splits",
                *([f"[u] {NOT_RECORDED}"] if any(not point.recorded for _, point in points) else []),
            ],
            [note.text for note in figure.data_notes],
        )
    downloads(entry.name, entry.formats, query | {"published": published})


def _point_cells(panel: Panel, point: Point, published: bool, of_paper: bool) -> list[Cell]:
    digits = 2 if panel.chart.score.title.endswith("%") else 4
    if point.mean is None:
        cells = [Cell("not run", quiet=True), Cell("", quiet=True)]
    else:
        spread = "" if point.std is None else f" ± {point.std:.{digits}f}"
        letters = _letters(
            ("s" if point.synthetic else "") + ("c" if point.cached else "") + ("" if point.recorded else "u")
        )
        cells = [Cell(f"{point.mean:.{digits}f}{spread}", letters, point.runs), Cell(str(point.n))]
    if published:
        none = "lost" if of_paper else "–"
        paper = none if point.published is None else f"{point.published:.{digits}f}"
        cells.append(Cell(paper, quiet=point.published is None))
    return cells


def predictions_figure(entry: ReportEntry, query: dict[str, Any]) -> None:
    published = st.toggle(
        "Published answers",
        key="published",
        bind="query-params",
        help="The paper's own, marked so; its pictures are lost.",
    )
    asked = {name: query[name] for name in ("tag", "synthetic")}
    figure = QualitativeFigure.model_validate(client().report_data(entry.name, **asked))
    if not figure.rows:
        empty(
            f"Nothing of {entry.title} has been run yet.",
            "Run the stage “Compare predictions” with the predictors of several evaluations, on more than eight images "
            "for Figure 8.",
            page="launch",
            label="Launch “Compare predictions”",
            query={"what": "qualitative"},
        )
    else:
        st.markdown(
            f"{synthetic_badge(figure.synthetic)} {figure.task}, {figure.map}; "
            f"[the run behind it](run?run={figure.run})".strip()
        )
    with loading(480):
        content = _picture(client(), entry.name, figure.run or "", published)
    st.image(
        content,
        caption=f"{entry.title}: what each model says of the same images; the table below has it in words",
        alt=f"{entry.title}: images with a heat map of each model",
        width="stretch",
    )
    if figure.rows:
        st.header("The answers", anchor=False)
        rows = [
            (
                [example.path, example.label],
                [
                    Cell("not run", quiet=True)
                    if answer is None
                    else Cell(
                        f"{'✓' if answer.right else '✗'} {answer.predicted}",
                        f"{answer.probability:.2f}",
                        (column.evaluation,) if column.evaluation else (),
                        answer.right,
                    )
                    for answer, column in zip(example.answers, figure.columns, strict=True)
                ],
            )
            for example in figure.rows
        ]
        headings = [(column.title.replace("\n", ", "),) for column in figure.columns]
        show_table(
            f"The answers of {entry.title}", headings, rows, ["Image", "True class"], ["✓ right, ✗ wrong"]
        )
    if published and figure.published_rows:
        show_table(
            f"Published answers of {entry.title}",
            [(method,) for method in figure.published_methods],
            [
                ([row.label], [Cell(f"{'✓' if a.right else '✗'} {a.printed}") for a in row.answers])
                for row in figure.published_rows
            ],
            ["Published: true class"],
            ["the paper's own answers, not ours"],
        )
    downloads(entry.name, entry.formats, asked | {"published": published})


@st.cache_data(max_entries=30, show_spinner=False)
def _picture(_vise: ViseClient, name: str, run: str, published: bool) -> bytes:
    """A run that compared never changes, and its picture takes seconds to draw."""
    return _vise.report(name, "png", published=published, run=run)


def downloads(name: str, formats: Iterable[ReportFormat], query: dict[str, Any]) -> None:
    """Buttons that ask for the file when they are pressed."""
    with st.container(horizontal=True):
        for format in formats:
            st.download_button(
                f"Export {LABELS[format]}",
                partial(client().report, name, format, **query),
                file_name=f"{name}.{ENDINGS[format]}",
                key=f"export-{format}",
                on_click="ignore",
            )


page_title("Results", "Our own evaluations, as they are and as the paper's tables and figures show them.")
with show_errors():
    entries = {entry.title: entry for entry in client().reports()}
    choice = st.selectbox("Show", [ALL, *entries], key="show", bind="query-params")
    asked = filters(client().report_choices())
    if choice == ALL:
        all_evaluations(asked)
    else:
        entry = entries[choice]
        st.markdown(f"{entry.caption}  \n:gray[The paper's caption. The numbers are our own runs'.]")
        if entry.kind == "table":
            paper_table(entry, asked)
        elif entry.name in ("figure7", "figure8"):
            predictions_figure(entry, asked)
        else:
            paper_figure(entry, asked)
