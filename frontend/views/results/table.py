"""A table of the paper, filled with our own results."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.components.table import Cell, show_table
from frontend.session import client
from frontend.views.results.export import export_buttons, footnotes, no_runs_yet
from frontend.views.results.filters import Query
from frontend.views.results.paired import paired_test
from vise_core.report import ReproducedTable
from vise_core.report.render import data_notes, difference_text, heading, marks, missing_text, notes, our_text
from vise_core.report.reproduced import SETTINGS, OurCell, Row
from vise_core.report.reproduced import Cell as TableCell
from vise_core.report.text import backbone_title
from vise_core.specs.reports.tables import ReportEntry


def paper_table(entry: ReportEntry, query: Query) -> None:
    """Draw a table of the paper with our runs."""
    with st.container(horizontal=True):
        published = st.toggle(
            "Published numbers",
            key="published",
            bind="query-params",
            help="Show the paper's own numbers below ours, marked as published.",
        )
        all_rows = st.toggle(
            "All rows of the paper",
            key="missing",
            bind="query-params",
            help="Include rows that were not run, with what is missing.",
        )
    table = ReproducedTable.model_validate(client().report_data(entry.name, **query))
    if not any(row.run for row in table.rows):
        no_runs_yet(entry)
    if not all_rows and not published:
        table = table.only_run()
    if table.rows and table.columns:
        _draw(entry, table, published)
    export_buttons(entry.name, entry.formats, query | {"published": published, "only_run": not all_rows})
    paired_test(
        {
            f"{row.label} ({backbone_title(row.backbone)})" if row.backbone else row.label: runs
            for row in table.rows
            if (runs := _runs(table, row))
        }
    )


def _draw(entry: ReportEntry, table: ReproducedTable, published: bool) -> None:
    with_backbone = "Backbone" in table.row_headings
    rows = [
        (
            [backbone_title(row.backbone), row.label] if with_backbone else [row.label],
            [
                _cell(cell, row, column, missing_text(table, row, column), published)
                for cell, column in zip(row.cells, table.columns, strict=True)
            ],
        )
        for row in table.rows
    ]
    left = ["Backbone", "Method"] if with_backbone else [table.row_headings[-1]]
    footer = notes(table, "ours")
    if published:
        footer.append("published: the paper's own numbers, not ours")
    show_table(entry.title, [column.title for column in table.columns], rows, left, footer, data_notes(table))


def _cell(cell: TableCell, row: Row, column: Any, missing: str, published: bool) -> Cell:
    paper = None
    if published and row.published:
        paper = (cell.published.printed if cell.published else None) or "illegible"
    if cell.ours is None:
        return Cell(missing, published=paper, quiet=True)
    n = f"n={len(cell.ours.values)}" if cell.ours.std is not None and cell.ours.metric not in SETTINGS else ""
    after = " ".join(filter(None, (n, difference_text(cell.ours, column), footnotes(marks(cell.ours)))))
    return Cell(our_text(cell.ours, column), after, cell.ours.runs, cell.ours.best, paper)


def _runs(table: ReproducedTable, row: Row) -> dict[str, str]:
    """{column: run} of the row's scores over several splits, which the paired test can compare."""

    def testable(ours: OurCell) -> bool:
        return len(ours.runs) == 1 and ours.metric not in SETTINGS and len(ours.values) > 1

    return {
        heading(column): cell.ours.runs[0]
        for cell, column in zip(row.cells, table.columns, strict=True)
        if cell.ours is not None and testable(cell.ours)
    }
