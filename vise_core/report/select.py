"""Parts of tables and figures: one task, protocol, backbone or method."""

from __future__ import annotations

from vise_core.specs.reports.tables import Selection

from .chart import chart
from .figures import OurFigure, Panel
from .point import Point
from .reproduced import ReproducedTable, Row


def select_table(table: ReproducedTable, wanted: Selection) -> ReproducedTable:
    """The columns and rows that are about what is wanted; a row or column that is about all of it stays."""
    kept = [
        place
        for place, column in enumerate(table.columns)
        if _fits(wanted.task, column.task or _only_task(table, place))
        and _fits(wanted.protocol, column.protocol or _only(table, place, "protocol"))
        and _fits(wanted.backbone, column.backbone)
    ]
    rows = [
        row.model_copy(update={"cells": tuple(row.cells[place] for place in kept)})
        for row in table.rows
        if _fits(wanted.backbone, row.backbone)
        and _fits(wanted.method, row.method)
        and _fits(wanted.task, _row_task(table, row))
    ]
    notes = tuple(note for note in table.data_notes if _fits(wanted.task, note.task))
    columns = tuple(table.columns[place] for place in kept)
    return table.model_copy(update={"columns": columns, "rows": tuple(rows), "data_notes": notes})


def select_figure(figure: OurFigure, wanted: Selection) -> OurFigure:
    """The panels, and of them the points, that are about what is wanted."""

    def part(panel: Panel) -> Panel:
        points, lines = (
            tuple(point for point in points if _shown(point, wanted))
            for points in (panel.points, panel.lines)
        )
        shown = chart(figure.kind, panel.metric, points, lines)
        return panel.model_copy(update={"points": points, "lines": lines, "chart": shown})

    panels = tuple(
        part(panel)
        for panel in figure.panels
        if _fits(wanted.task, panel.task) and _fits(wanted.protocol, panel.protocol)
    )
    notes = tuple(note for note in figure.data_notes if _fits(wanted.task, note.task))
    return figure.model_copy(update={"panels": panels, "data_notes": notes})


def _fits(wanted: str | None, found: str | None) -> bool:
    return wanted is None or found is None or wanted == found


def _shown(point: Point, wanted: Selection) -> bool:
    return _fits(wanted.backbone, point.backbone) and _fits(wanted.method, point.method)


def _only(table: ReproducedTable, place: int, fact: str) -> str | None:
    """What all published cells of a column say of a fact; None where they differ."""
    said = {getattr(cell, fact) for row in table.rows if (cell := row.cells[place].published) is not None}
    return said.pop() if len(said) == 1 else None


def _only_task(table: ReproducedTable, place: int) -> str | None:
    return _only(table, place, "task")


def _row_task(table: ReproducedTable, row: Row) -> str | None:
    """A row's own task (Table 9); None where the columns have it."""
    said = {cell.published.task for cell in row.cells if cell.published is not None}
    tasks = {
        cell.published.task for other in table.rows for cell in other.cells if cell.published is not None
    }
    columns = {column.task for column in table.columns}
    return said.pop() if len(said) == 1 and len(tasks) > 1 and columns == {None} else None
