"""Render a reproduced table as Markdown, CSV or LaTeX. Published numbers have rows of their own, marked as such."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Literal

from vise_core.escaping import csv_row, markdown_escape
from vise_core.specs.tasks.metrics import METRICS

from .latex import LatexCell, latex_grouped_table
from .published import PublishedColumn
from .reproduced import SETTINGS, Cell, OurCell, ReproducedTable, Row, Show
from .text import DIVERGED, STOPPED, backbone_title

TableFormat = Literal["markdown", "csv", "latex"]
NOT_RUN = "not run"
UNKNOWN = "unknown"
PUBLISHED = "published"


def render_reproduced(table: ReproducedTable, format: TableFormat, show: Show = "ours") -> str:
    """Return the table as text."""
    return FORMATS[format](table, show)


def number(value: float, column: PublishedColumn, metric: str) -> str:
    """Format a value as the paper does: percents with two digits, fractions with four, settings as they are."""
    if metric in SETTINGS:
        return f"{value:g}"
    if metric in METRICS:
        return f"{value:.{METRICS[metric].digits}f}"
    return f"{value:.{4 if column.unit == 'fraction' else 2}f}"


def our_text(ours: OurCell, column: PublishedColumn) -> str:
    """Format our value, such as ``44.67 ± 3.52``; settings that differ over splits as ``{a, b, …}``."""
    if ours.metric in SETTINGS:
        values = [number(value, column, ours.metric) for value in ours.values]
        if len(set(values)) == 1:
            return values[0]
        listed = dict.fromkeys(values) if column.protocol is None else values
        return "{" + ", ".join(listed) + "}"
    text = number(ours.mean, column, ours.metric)
    return text if ours.std is None else f"{text} ± {number(ours.std, column, ours.metric)}"


def difference_text(ours: OurCell, column: PublishedColumn) -> str:
    """Format a difference, such as ``↑1.05``; empty for the reference method."""
    if ours.difference is None:
        return ""
    size = number(abs(ours.difference), column, ours.metric)
    if float(size) == 0:
        return f"={size}"
    return f"{'↑' if ours.difference > 0 else '↓'}{size}"


def marks(ours: OurCell) -> str:
    """Return the footnote letters of a value.

    s synthetic data, c cached features, e early stopping, d grid points that diverged.
    """
    letters = (
        ("s", ours.synthetic),
        ("c", ours.cached),
        ("e", ours.stopped),
        ("d", ours.diverged),
    )
    return "".join(letter for letter, applies in letters if applies)


def notes(table: ReproducedTable, show: Show) -> list[str]:
    """Return the meaning of the signs and letters that occur in the table."""
    cells = [cell.ours for row in table.rows for cell in row.cells if cell.ours is not None]
    lines = [f"{table.title} of VisE (Jia et al., 2021), from our own runs"]
    if any(cell.std is not None for cell in cells):
        lines.append("mean ± sample standard deviation (ddof 1) over splits")
    if any(cell.metric in ("s_lr", "s_wd") for cell in cells):
        lines.append("S_lr and S_wd are population standard deviations (ddof 0) over the grid")
    if any(
        cell.ours is None and missing_text(table, row, column) == UNKNOWN
        for row in table.rows
        for cell, column in zip(row.cells, table.columns, strict=True)
    ):
        lines.append(f"{UNKNOWN}: S_lr or S_wd would need a training that diverged or was stopped early")
    if any(cell.difference is not None for cell in cells):
        lines.append(f"↑ ↓ difference from {table.compared_with} of the same backbone")
    if any(cell.best for cell in cells):
        lines.append("best of a column in bold")
    if any(cell.synthetic for cell in cells):
        lines.append("[s] synthetic data: generated, not real")
    if any(cell.cached for cell in cells):
        lines.append("[c] cached features: computed once, without augmentation")
    if any(cell.stopped for cell in cells):
        lines.append(f"[e] {STOPPED}")
    if any(cell.diverged for cell in cells):
        lines.append(f"[d] {DIVERGED}")
    if show == "both":
        lines.append("rows marked published are the paper's own numbers, not ours")
    return lines


def data_notes(table: ReproducedTable) -> list[str]:
    """Return why scores of one task are in several columns. The texts hold names that users chose."""
    return [note.text for note in table.data_notes]


def heading(column: PublishedColumn) -> str:
    """Return a column's heading on one line, outer heading first."""
    return ", ".join(column.title)


def _lines(table: ReproducedTable, show: Show) -> list[tuple[Row, bool]]:
    """Return (row, is_published): our rows, each followed by its published row where ``show`` is ``both``."""
    lines = []
    for row in table.rows:
        lines.append((row, False))
        if show == "both" and row.published:
            lines.append((row, True))
    return lines


def _left(table: ReproducedTable, row: Row, is_published: bool) -> list[str]:
    label = f"{row.label} ({PUBLISHED})" if is_published else row.label
    return [backbone_title(row.backbone), label] if "Backbone" in table.row_headings else [label]


def _left_headings(table: ReproducedTable) -> list[str]:
    if "Backbone" in table.row_headings:
        return ["Backbone", "Method"]
    return [table.row_headings[-1]]


def _published_text(cell: Cell) -> str:
    if cell.published is None or cell.published.printed is None:
        return "illegible"
    return cell.published.printed


def _markdown(table: ReproducedTable, show: Show) -> str:
    header = [*_left_headings(table), *map(heading, table.columns)]
    left = len(_left_headings(table))
    lines = [list(map(markdown_escape, header)), ["---"] * left + ["---:"] * len(table.columns)]
    for row, is_published in _lines(table, show):
        line = list(map(markdown_escape, _left(table, row, is_published)))
        for cell, column in zip(row.cells, table.columns, strict=True):
            line.append(
                f"*{markdown_escape(_published_text(cell))}*"
                if is_published
                else _marked(cell, column, missing_text(table, row, column))
            )
        lines.append(line)
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    footer = [*notes(table, show), *map(markdown_escape, data_notes(table))]
    return f"{body}\n\n{'; '.join(footer)}.\n"


def missing_text(table: ReproducedTable, row: Row, column: PublishedColumn) -> str:
    """Return the text of a cell without our value: ``unknown`` for S_lr and S_wd of a run, else ``not run``."""
    if column.metric not in ("s_lr", "s_wd"):
        return NOT_RUN
    run = any(
        cell.ours and _subject(other) == _subject(column)
        for cell, other in zip(row.cells, table.columns, strict=True)
    )
    return UNKNOWN if run else NOT_RUN


def _subject(column: PublishedColumn) -> tuple[object, ...]:
    return column.task, column.protocol, column.backbone, column.title[:-1]


def _marked(cell: Cell, column: PublishedColumn, missing: str) -> str:
    if cell.ours is None:
        return missing
    value = markdown_escape(our_text(cell.ours, column))
    value = f"**{value}**" if cell.ours.best else value
    letters = f"[{marks(cell.ours)}]" if marks(cell.ours) else ""
    return " ".join(filter(None, (value, difference_text(cell.ours, column), letters)))


CSV_COLUMNS = (
    "table", "backbone", "method", "column", "metric", "source", "value", "std_ddof1", "n", "difference", "values",
    "best", "synthetic", "features", "runs", "note",
)  # fmt: skip


def _csv(table: ReproducedTable, show: Show) -> str:
    """Write one line a value, at full precision; ``source`` is ours or published."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table.rows:
        names = [table.name, row.backbone or "", row.label]
        for cell, column in zip(row.cells, table.columns, strict=True):
            place = [*names, heading(column), column.metric or ""]
            if (ours := cell.ours) is not None:
                values = " ".join(map(repr, ours.values))
                features = "cached" if ours.cached else "augmented"
                numbers = [ours.mean, ours.std, len(ours.values), ours.difference, values]
                note = _note(table, column)
                facts = [ours.best, ours.synthetic, features, " ".join(ours.runs), note]
                writer.writerow(csv_row([*place, "ours", *numbers, *facts]))
            paper = cell.published
            if show == "both" and paper is not None and not paper.illegible:
                values = " ".join(map(repr, paper.per_split))
                numbers = [paper.value, paper.std, None, paper.difference, values]
                writer.writerow(csv_row([*place, PUBLISHED, *numbers, "", "", "", "", ""]))
    return buffer.getvalue()


def _note(table: ReproducedTable, column: PublishedColumn) -> str:
    """Return why the column's task has several columns; without a task, the notes of all tasks."""
    return "; ".join(note.text for note in table.data_notes if column.task in (None, note.task))


def _latex(table: ReproducedTable, show: Show) -> str:
    rows: list[tuple[Sequence[str], Sequence[LatexCell]]] = []
    for row, is_published in _lines(table, show):
        cells: list[LatexCell] = []
        for cell, column in zip(row.cells, table.columns, strict=True):
            if is_published:
                cells.append((_published_text(cell), "", "", False))
            elif cell.ours is None:
                unknown = missing_text(table, row, column) == UNKNOWN
                cells.append((UNKNOWN, "", "", False) if unknown else None)
            else:
                ours = cell.ours
                cells.append((our_text(ours, column), difference_text(ours, column), marks(ours), ours.best))
        rows.append((_left(table, row, is_published), cells))
    headings = [column.title for column in table.columns]
    return latex_grouped_table(
        _left_headings(table), headings, rows, [*notes(table, show), *data_notes(table), "-- not run"]
    )


FORMATS: dict[str, Callable[[ReproducedTable, Show], str]] = {
    "markdown": _markdown,
    "csv": _csv,
    "latex": _latex,
}
