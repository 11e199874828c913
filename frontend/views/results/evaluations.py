"""The table of all evaluations: the newest of each method, backbone, task and protocol."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty
from frontend.components.table import Cell, show_table
from frontend.session import client
from frontend.views.results.export import export_buttons, footnotes
from frontend.views.results.filters import ANY, Query
from frontend.views.results.paired import paired_test
from vise_client.errors import ApiError

TITLE = "All evaluations"


def evaluation_table(query: Query) -> None:
    """Draw the table of all evaluations."""
    st.write(
        "The newest evaluation of each method, backbone, task and protocol, with a column for each data set and splits."
    )
    try:
        table = client().evaluation_table(**query)
    except ApiError as error:
        if error.problem.status != 404:
            raise
        _empty(query)
        return
    rows = [
        (
            [row.method, row.backbone],
            [
                Cell("–", quiet=True)
                if cell is None
                else Cell(cell.value, f"{cell.difference} {footnotes(cell.marks)}", (cell.run,), cell.best)
                for cell in row.cells
            ],
        )
        for row in table.rows
    ]
    headings = [(column,) for column in table.columns]
    show_table(TITLE, headings, rows, ["Method", "Backbone"], table.notes, table.data_notes)
    export_buttons("results", ("markdown", "csv", "latex"), query)
    paired_test(
        {
            f"{row.method} ({row.backbone})": {
                column: cell.run
                for column, cell in zip(table.columns, row.cells, strict=True)
                if cell is not None
            }
            for row in table.rows
        }
    )


def _empty(query: Query) -> None:
    if any(value is not None for value in query.values()):
        empty("No evaluation matches these filters", f"Set some of the filters to “{ANY}”.")
    else:
        empty(
            "No evaluations yet",
            "Succeeded evaluations appear here. The sample recipe makes three on synthetic data in a few minutes.",
            page="launch",
            label="Launch a recipe",
        )
