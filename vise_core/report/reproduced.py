"""The paper's tables filled with our own runs: its columns, its rows and further rows of ours."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

from pydantic import Field

from vise_core.errors import BadInput
from vise_core.specs.base import Record
from vise_core.specs.tasks.metrics import METRICS

from .comparable import Variants, titled
from .observations import FACT_NAMES, Observation
from .published import Facts, PublishedCell, PublishedColumn, PublishedRow, PublishedTable, published
from .text import backbone_title

REPRODUCED = ("table2", "table3", "table4", "table5", "table6", "table7", "table9",
              "table10", "table11", "table12", "table13", "table14", "table15", "table16")  # fmt: skip
"""Tables that our runs can fill; Tables 1 and 8 are facts about methods and data sets."""

SETTINGS = frozenset({"base_lr", "weight_decay", "batch_size", "gpus"})
"""Metrics that were chosen, not measured: listed, never averaged."""


class OurCell(Record):
    """A value of our own runs.

    Attributes
    ----------
    values: one a split (or a run, where the paper averages over methods).
    std: sample standard deviation (ddof 1) of ``values``; None for a single value.
    difference: ``mean`` minus that of the reference method on the same backbone; None for that method or without it.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    metric: str
    difference: float | None = None
    best: bool = False
    runs: tuple[str, ...] = ()
    synthetic: bool = False
    cached: bool = False
    stopped: bool = False
    diverged: bool = False


class Cell(Record):
    """A cell of a table: our value, None where not run, and the paper's."""

    column: str
    ours: OurCell | None
    published: PublishedCell | None


class Row(Record):
    """A row of a table; ``published`` is False for a row that the paper does not have."""

    label: str
    backbone: str | None
    method: str | None
    published: bool
    cells: tuple[Cell, ...]

    @property
    def run(self) -> bool:
        """Return whether any cell has a value of ours."""
        return any(cell.ours for cell in self.cells)


class DataNote(Record):
    """Reason for which scores of one task stand in several columns, rows or panels."""

    task: str
    text: str


class ReproducedTable(Record):
    """A table of the paper, filled with our own runs."""

    name: str
    title: str
    caption: str = Field(description="The paper's caption.")
    row_headings: tuple[str, ...]
    compared_with: str | None
    columns: tuple[PublishedColumn, ...]
    rows: tuple[Row, ...]
    data_notes: tuple[DataNote, ...] = ()

    def only_run(self) -> ReproducedTable:
        """Return the table without rows that were not run."""
        return self.model_copy(update={"rows": tuple(row for row in self.rows if row.run)})


def reproduce(name: str, observations: Sequence[Observation]) -> ReproducedTable:
    """Fill a table, such as ``table6``, with our own runs. Raises BadInput for a name that is not in ``REPRODUCED``."""
    if name not in REPRODUCED:
        raise BadInput(f"no table {name!r} to reproduce; one of {', '.join(REPRODUCED)}")
    used = _used(published(name), observations)
    table = _with_own_backbones(published(name), used)
    variants = Variants((observation.task, observation.measured) for observation in used)
    columns = _by_data(table, used, variants)
    rows = [ours for row in table.rows for ours in _published_rows(table, row, columns, used, variants)]
    if all(row.method for row in table.rows):
        rows = _with_own_rows(table, rows, columns, used)
    rows = _with_differences(table, rows)
    rows = _with_best(rows)
    return ReproducedTable(
        name=name,
        title=f"Table {name.removeprefix('table')}",
        caption=table.caption,
        row_headings=table.row_headings,
        compared_with=table.compared_with,
        columns=tuple(column.shown for column in columns),
        rows=tuple(rows),
        data_notes=data_notes(variants),
    )


def data_notes(variants: Variants) -> tuple[DataNote, ...]:
    """Return why scores of one task are not compared, for each task with several variants."""
    return tuple(DataNote(task=task, text=text) for task in variants.tasks for text in variants.reasons(task))


class _Column(NamedTuple):
    """A column of the paper, the column shown for it, and the observations that it may show."""

    paper: PublishedColumn
    shown: PublishedColumn
    observations: Sequence[Observation]


def _used(table: PublishedTable, observations: Sequence[Observation]) -> list[Observation]:
    """Return the observations that fit any cell of the table."""
    column_facts = [
        _column_facts(table, column).model_copy(update={"backbone": None}) for column in table.columns
    ]
    tasks = {cell.task for cell in table.cells}
    return [
        each
        for each in observations
        if each.task in tasks and any(each.fits(facts) for facts in column_facts)
    ]


def _one_task(table: PublishedTable) -> bool:
    """Return whether each column has one task; else each row has its own (Table 9)."""
    return all(row.task is None for row in table.rows)


def _by_data(table: PublishedTable, used: Sequence[Observation], variants: Variants) -> list[_Column]:
    """Return each column once for each data and splits that it has values of: these are not compared."""
    if not _one_task(table):
        return [_Column(column, column, used) for column in table.columns]
    shown: list[_Column] = []
    # Neighbours under one outer heading stay together: val and test of one variant, then of the next.
    for (task, _), group in groupby(table.columns, key=lambda each: (_task(table, each), each.title[:-1])):
        columns = list(group)
        of_column = {column.key: _keys(table, column, used) for column in columns}
        keys = dict.fromkeys(key for own in of_column.values() for key in own)
        for number, key in enumerate(keys or [""]):
            observations = [each for each in used if each.measured.key == key]
            for column in columns:
                own = of_column[column.key]
                if key in own or (number == 0 and not own):
                    labelled = _labelled(column, variants.label(str(task), key))
                    shown.append(_Column(column, labelled, observations))
    return shown


def _keys(table: PublishedTable, column: PublishedColumn, used: Sequence[Observation]) -> dict[str, None]:
    """Return the keys of the data and splits that the column has values of, in order."""
    facts = _column_facts(table, column)
    return dict.fromkeys(each.measured.key for each in used if each.fits(facts))


def _labelled(column: PublishedColumn, label: str) -> PublishedColumn:
    """Return the column with the label of its data in its outer (or only) heading."""
    if not label:
        return column
    title = (titled(column.title[0], label), *column.title[1:])
    return column.model_copy(update={"key": f"{column.key} ({label})", "title": title})


def _with_own_backbones(table: PublishedTable, observations: Sequence[Observation]) -> PublishedTable:
    """Add the last backbone's columns for each further backbone of ours, in a table with backbones side by side."""
    last = table.columns[-1].backbone
    if last is None:
        return table
    like = [column for column in table.columns if column.backbone == last]
    known = {column.backbone for column in table.columns}
    like_facts = [_column_facts(table, column).model_copy(update={"backbone": None}) for column in like]
    new = dict.fromkeys(
        each.backbone
        for each in observations
        if each.backbone not in known and any(each.fits(facts) for facts in like_facts)
    )
    columns = [
        column.model_copy(
            update={
                "key": f"{backbone}_{column.key}",
                "title": (backbone_title(backbone), *column.title[1:]),
                "backbone": backbone,
            }
        )
        for backbone in new
        for column in like
    ]
    return table.model_copy(update={"columns": (*table.columns, *columns)})


def _published_rows(
    table: PublishedTable,
    row: PublishedRow,
    columns: Sequence[_Column],
    used: Sequence[Observation],
    variants: Variants,
) -> list[Row]:
    """Return the row, or one row for each data and splits where the row has its own task."""
    if _one_task(table):
        return [_published_row(table, row, columns)]
    task = next((cell.task for cell in table.cells if cell.row == row.key and cell.task), "")
    keys = variants.keys(task)
    if len(keys) < 2:
        return [_published_row(table, row, columns)]
    rows = []
    for key in keys:
        of_key = [
            column._replace(observations=[each for each in used if each.measured.key == key])
            for column in columns
        ]
        ours = _published_row(table, row, of_key)
        rows.append(ours.model_copy(update={"label": titled(ours.label, variants.label(task, key))}))
    return rows


def _published_row(table: PublishedTable, row: PublishedRow, columns: Sequence[_Column]) -> Row:
    cells = []
    for column, shown, observations in columns:
        printed = next((c for c in table.cells if (c.row, c.column) == (row.key, column.key)), None)
        # A column of ours has the facts of its neighbours, for another backbone.
        facts = printed or Facts(**_facts(table.cell(row.key, table.columns[0].key)) | _known_facts(column))
        cells.append(Cell(column=shown.key, ours=_ours(facts, observations), published=printed))
    return Row(
        label=_label(row),
        backbone=row.backbone,
        method=row.method,
        published=True,
        cells=tuple(cells),
    )


CITATION = re.compile(r" (\[\d+\]|\(ours\))$")


def _label(row: PublishedRow) -> str:
    """Return the row's label as printed, without citations."""
    return CITATION.sub("", row.label or row.method or row.key)


def _ours(facts: Facts, observations: Sequence[Observation]) -> OurCell | None:
    """Return our value for the facts; over all methods where they name none (Table 9)."""
    fitting = [each for each in observations if each.fits(facts)]
    if not fitting:
        return None
    if facts.method is not None and facts.metric not in SETTINGS:
        fitting = fitting[:1]
    values = tuple(value for each in fitting for value in each.values)
    return OurCell(
        values=values,
        mean=statistics.fmean(values),
        # Over methods, a spread would say nothing about splits.
        std=statistics.stdev(values) if len(values) > 1 and facts.method is not None else None,
        metric=fitting[0].metric,
        runs=tuple(dict.fromkeys(each.run for each in fitting if each.run)),
        synthetic=any(each.synthetic for each in fitting),
        cached=any(each.cached for each in fitting),
        stopped=any(each.stopped for each in fitting),
        diverged=any(each.diverged for each in fitting),
    )


def _with_own_rows(
    table: PublishedTable, rows: list[Row], columns: Sequence[_Column], used: Sequence[Observation]
) -> list[Row]:
    """Add rows for our own methods and backbones, below the paper's rows of the same backbone."""
    column_facts = [_column_facts(table, column.paper) for column in columns]
    known = {(row.backbone, row.method) for row in rows}
    new = dict.fromkeys(
        (each.backbone, each.method)
        for each in used
        if (each.backbone, each.method) not in known
        # A learning rate alone is no reason for a row.
        and any(each.fits(facts) and each.metric not in SETTINGS for facts in column_facts)
    )
    for backbone, method in new:
        cells = tuple(
            Cell(
                column=column.shown.key,
                ours=_ours(
                    facts.model_copy(update={"backbone": backbone, "method": method}), column.observations
                ),
                published=None,
            )
            for column, facts in zip(columns, column_facts, strict=True)
        )
        # A table without a column of backbones is about one backbone; label others.
        listed = "Backbone" in table.row_headings or backbone == table.rows[0].backbone
        label = method if listed else f"{method}, {backbone_title(backbone)}"
        row = Row(label=label, backbone=backbone, method=method, published=False, cells=cells)
        last = max((i for i, other in enumerate(rows) if other.backbone == backbone), default=len(rows) - 1)
        rows = [*rows[: last + 1], row, *rows[last + 1 :]]
    return rows


def _column_facts(table: PublishedTable, column: PublishedColumn) -> Facts:
    """Return the facts of a column that hold for any row, with those of the table."""
    first = _facts(table.cell(table.rows[0].key, column.key))
    return Facts(
        **first | {"backbone": column.backbone, "method": column.method, "task": _task(table, column)}
    )


def _facts(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in FACT_NAMES}


def _known_facts(column: PublishedColumn) -> dict[str, Any]:
    return {name: value for name, value in _facts(column).items() if value is not None}


def _task(table: PublishedTable, column: PublishedColumn) -> str | None:
    """Return a column's task; None where each row has its own (Table 9)."""
    tasks = {table.cell(row.key, column.key).task for row in table.rows}
    return tasks.pop() if len(tasks) == 1 else None


def _with_differences(table: PublishedTable, rows: list[Row]) -> list[Row]:
    if table.compared_with is None:
        return rows
    references = {
        (row.backbone, cell.column): cell.ours.mean
        for row in rows
        for cell in row.cells
        if row.method == table.compared_with and cell.ours is not None
    }

    def compared(row: Row, cell: Cell) -> Cell:
        reference = references.get((row.backbone, cell.column))
        if cell.ours is None or reference is None or row.method == table.compared_with:
            return cell
        ours = cell.ours.model_copy(update={"difference": cell.ours.mean - reference})
        return cell.model_copy(update={"ours": ours})

    return [
        row.model_copy(update={"cells": tuple(compared(row, cell) for cell in row.cells)}) for row in rows
    ]


def _with_best(rows: list[Row]) -> list[Row]:
    """Mark the best score of each column; all of equal ones."""
    best: dict[str, float] = {}
    for row in rows:
        for cell in row.cells:
            if cell.ours is not None and cell.ours.metric in METRICS:
                best[cell.column] = max(best.get(cell.column, -math.inf), cell.ours.mean)

    def marked(cell: Cell) -> Cell:
        if cell.ours is None or cell.ours.mean != best.get(cell.column):
            return cell
        return cell.model_copy(update={"ours": cell.ours.model_copy(update={"best": True})})

    return [row.model_copy(update={"cells": tuple(map(marked, row.cells))}) for row in rows]


Show = Literal["ours", "both"]
"""Our own values alone, or with the paper's, marked as published."""
