"""Select a part of a table or figure: one task, protocol, backbone or method."""

from __future__ import annotations

from vise_core.specs.reports.tables import Selection

from .chart import chart
from .figures import OurFigure, Panel
from .point import Point
from .reproduced import ReproducedTable, Row


def select_table(table: ReproducedTable, selection: Selection) -> ReproducedTable:
    """Return the table with the columns and rows of the selection; rows and columns without that fact stay."""
    kept = [
        place
        for place, column in enumerate(table.columns)
        if _fits(selection.task, column.task or _only(table, place, "task"))
        and _fits(selection.protocol, column.protocol or _only(table, place, "protocol"))
        and _fits(selection.backbone, column.backbone)
    ]
    rows = [
        row.model_copy(update={"cells": tuple(row.cells[place] for place in kept)})
        for row in table.rows
        if _fits(selection.backbone, row.backbone)
        and _fits(selection.method, row.method)
        and _fits(selection.task, _row_task(table, row))
    ]
    notes = tuple(note for note in table.data_notes if _fits(selection.task, note.task))
    columns = tuple(table.columns[place] for place in kept)
    return table.model_copy(update={"columns": columns, "rows": tuple(rows), "data_notes": notes})


def select_figure(figure: OurFigure, selection: Selection) -> OurFigure:
    """Return the figure with the panels and points of the selection."""

    def part(panel: Panel) -> Panel:
        points, lines = (
            tuple(point for point in points if _shown(point, selection))
            for points in (panel.points, panel.lines)
        )
        shown = chart(figure.kind, panel.metric, points, lines)
        return panel.model_copy(update={"points": points, "lines": lines, "chart": shown})

    panels = tuple(
        part(panel)
        for panel in figure.panels
        if _fits(selection.task, panel.task) and _fits(selection.protocol, panel.protocol)
    )
    notes = tuple(note for note in figure.data_notes if _fits(selection.task, note.task))
    return figure.model_copy(update={"panels": panels, "data_notes": notes})


def _fits(selected: str | None, value: str | None) -> bool:
    return selected is None or value is None or selected == value


def _shown(point: Point, selection: Selection) -> bool:
    return _fits(selection.backbone, point.backbone) and _fits(selection.method, point.method)


def _only(table: ReproducedTable, place: int, fact: str) -> str | None:
    """Return a fact that all published cells of a column share; None where they differ."""
    values = {getattr(cell, fact) for row in table.rows if (cell := row.cells[place].published) is not None}
    return values.pop() if len(values) == 1 else None


def _row_task(table: ReproducedTable, row: Row) -> str | None:
    """Return a row's own task (Table 9); None where the columns have it."""
    own = {cell.published.task for cell in row.cells if cell.published is not None}
    tasks = {
        cell.published.task for other in table.rows for cell in other.cells if cell.published is not None
    }
    columns = {column.task for column in table.columns}
    return own.pop() if len(own) == 1 and len(tasks) > 1 and columns == {None} else None
