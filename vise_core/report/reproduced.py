"""The paper's tables, filled from our own runs: the same columns, its rows and ours, nothing mixed."""

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
"""The tables that our runs can fill; 1 and 8 are facts about methods and data sets."""

SETTINGS = frozenset({"base_lr", "weight_decay", "batch_size", "gpus"})
"""Chosen, not measured: listed as they are, never averaged."""


class OurCell(Record):
    """A number of our own runs.

    Attributes
    ----------
    values: one a split (or a run, where the paper averages over methods).
    std: sample standard deviation (ddof 1) over them; None for one.
    difference: from the compared method of the same backbone; None for that method and where it was not run.
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
    recorded: bool = Field(
        True, description="Whether data and splits are known; without, nothing is compared."
    )


class Cell(Record):
    """One place of a table: ours, and what the paper has there. ``ours`` None: not run."""

    column: str
    ours: OurCell | None
    published: PublishedCell | None


class Row(Record):
    """A row; ``published`` False where the paper has none such."""

    label: str
    backbone: str | None
    method: str | None
    published: bool
    cells: tuple[Cell, ...]

    @property
    def run(self) -> bool:
        """Whether any of it was run."""
        return any(cell.ours for cell in self.cells)


class DataNote(Record):
    """Why numbers of one task stand in several columns, rows or panels."""

    task: str
    text: str


class ReproducedTable(Record):
    """A table of the paper, from our runs."""

    name: str
    title: str
    caption: str = Field(description="The paper's caption.")
    row_headings: tuple[str, ...]
    compared_with: str | None
    columns: tuple[PublishedColumn, ...]
    rows: tuple[Row, ...]
    data_notes: tuple[DataNote, ...] = ()

    def only_run(self) -> ReproducedTable:
        """Without the rows that nobody ran."""
        return self.model_copy(update={"rows": tuple(row for row in self.rows if row.run)})


def reproduce(name: str, observations: Sequence[Observation]) -> ReproducedTable:
    """``table6`` and the like from our own runs. Raises BadInput for a name that is not in ``REPRODUCED``."""
    if name not in REPRODUCED:
        raise BadInput(f"no table {name!r} to reproduce; one of {', '.join(REPRODUCED)}")
    used = _used(published(name), observations)
    table = _with_own_backbones(published(name), used)
    variants = Variants((one.task, one.measured) for one in used)
    columns = _by_data(table, used, variants)
    rows = [row for one in table.rows for row in _published_rows(table, one, columns, used, variants)]
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
    """Why one task's numbers are not together."""
    return tuple(DataNote(task=task, text=text) for task in variants.tasks for text in variants.reasons(task))


class _Column(NamedTuple):
    """A column as the paper has it, as it is shown, and the observations that it may show."""

    paper: PublishedColumn
    shown: PublishedColumn
    observations: Sequence[Observation]


def _used(table: PublishedTable, observations: Sequence[Observation]) -> list[Observation]:
    """The observations that any place of the table asks for."""
    asked = [_asked(table, column).model_copy(update={"backbone": None}) for column in table.columns]
    tasks = {cell.task for cell in table.cells}
    return [one for one in observations if one.task in tasks and any(one.fits(facts) for facts in asked)]


def _one_task(table: PublishedTable) -> bool:
    """Whether each column is about one task; else each row has its own (Table 9)."""
    return all(row.task is None for row in table.rows)


def _by_data(table: PublishedTable, used: Sequence[Observation], variants: Variants) -> list[_Column]:
    """The columns, each once for each data and splits that it has numbers of: they are not compared."""
    if not _one_task(table):
        return [_Column(column, column, used) for column in table.columns]
    found: list[_Column] = []
    # Neighbours under one outer heading stay together: val and test of one data, then of the other.
    for (task, _), group in groupby(table.columns, key=lambda each: (_task(table, each), each.title[:-1])):
        columns = list(group)
        of_column = {column.key: _keys(table, column, used) for column in columns}
        keys = dict.fromkeys(key for own in of_column.values() for key in own)
        for number, key in enumerate(keys or [""]):
            mine = [one for one in used if one.measured.key == key]
            for column in columns:
                own = of_column[column.key]
                if key in own or (number == 0 and not own):
                    found.append(_Column(column, _labelled(column, variants.label(str(task), key)), mine))
    return found


def _keys(table: PublishedTable, column: PublishedColumn, used: Sequence[Observation]) -> dict[str, None]:
    """Of the data and splits that the column has numbers of."""
    asked = _asked(table, column)
    return dict.fromkeys(one.measured.key for one in used if one.fits(asked))


def _labelled(column: PublishedColumn, label: str) -> PublishedColumn:
    """The column with what tells its data from others in its outer heading, or its only one."""
    if not label:
        return column
    title = (titled(column.title[0], label), *column.title[1:])
    return column.model_copy(update={"key": f"{column.key} ({label})", "title": title})


def _with_own_backbones(table: PublishedTable, observations: Sequence[Observation]) -> PublishedTable:
    """Table 9 has its backbones side by side: columns like the last one's for each further backbone we ran."""
    last = table.columns[-1].backbone
    if last is None:
        return table
    like = [column for column in table.columns if column.backbone == last]
    known = {column.backbone for column in table.columns}
    wanted = [_asked(table, column).model_copy(update={"backbone": None}) for column in like]
    new = dict.fromkeys(
        one.backbone
        for one in observations
        if one.backbone not in known and any(one.fits(facts) for facts in wanted)
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
    """The row; where it has a task of its own, once for each data and splits of it that was run."""
    if _one_task(table):
        return [_published_row(table, row, columns)]
    task = next((cell.task for cell in table.cells if cell.row == row.key and cell.task), "")
    keys = variants.keys(task)
    if len(keys) < 2:
        return [_published_row(table, row, columns)]
    rows = []
    for key in keys:
        of_key = [
            column._replace(observations=[one for one in used if one.measured.key == key])
            for column in columns
        ]
        made = _published_row(table, row, of_key)
        rows.append(made.model_copy(update={"label": titled(made.label, variants.label(task, key))}))
    return rows


def _published_row(table: PublishedTable, row: PublishedRow, columns: Sequence[_Column]) -> Row:
    cells = []
    for column, shown, observations in columns:
        printed = next((c for c in table.cells if (c.row, c.column) == (row.key, column.key)), None)
        # A column of our own asks what its neighbours ask, of another backbone.
        facts = printed or Facts(**_facts(table.cell(row.key, table.columns[0].key)) | _given(column))
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
    """As printed, without what only makes sense inside the paper."""
    return CITATION.sub("", row.label or row.method or row.key)


def _ours(facts: Facts, observations: Sequence[Observation]) -> OurCell | None:
    """The numbers that the facts ask for. Where no method is asked for (Table 9), over all methods."""
    fitting = [one for one in observations if one.fits(facts)]
    if not fitting:
        return None
    if facts.method is not None and facts.metric not in SETTINGS:
        fitting = fitting[:1]
    values = tuple(value for one in fitting for value in one.values)
    return OurCell(
        values=values,
        mean=statistics.fmean(values),
        # Over methods, a spread would say nothing about splits.
        std=statistics.stdev(values) if len(values) > 1 and facts.method is not None else None,
        metric=fitting[0].metric,
        runs=tuple(dict.fromkeys(one.run for one in fitting if one.run)),
        synthetic=any(one.synthetic for one in fitting),
        cached=any(one.cached for one in fitting),
        stopped=any(one.stopped for one in fitting),
        diverged=any(one.diverged for one in fitting),
        recorded=all(one.measured.recorded for one in fitting),
    )


def _with_own_rows(
    table: PublishedTable, rows: list[Row], columns: Sequence[_Column], used: Sequence[Observation]
) -> list[Row]:
    """Methods and backbones of our own, below the paper's rows of the same backbone."""
    wanted = [_asked(table, column.paper) for column in columns]
    known = {(row.backbone, row.method) for row in rows}
    new = dict.fromkeys(
        (one.backbone, one.method)
        for one in used
        if (one.backbone, one.method) not in known
        # A learning rate alone is no reason for a row.
        and any(one.fits(facts) and one.metric not in SETTINGS for facts in wanted)
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
            for column, facts in zip(columns, wanted, strict=True)
        )
        # A table without a column of backbones is about one; another is named with the method.
        named = method if "Backbone" in table.row_headings or backbone == table.rows[0].backbone else None
        label = named or f"{method}, {backbone_title(backbone)}"
        row = Row(label=label, backbone=backbone, method=method, published=False, cells=cells)
        last = max((i for i, other in enumerate(rows) if other.backbone == backbone), default=len(rows) - 1)
        rows = [*rows[: last + 1], row, *rows[last + 1 :]]
    return rows


def _asked(table: PublishedTable, column: PublishedColumn) -> Facts:
    """What a column asks of any row: its facts, and the table's."""
    first = _facts(table.cell(table.rows[0].key, column.key))
    return Facts(
        **first | {"backbone": column.backbone, "method": column.method, "task": _task(table, column)}
    )


def _facts(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in FACT_NAMES}


def _given(column: PublishedColumn) -> dict[str, Any]:
    return {name: value for name, value in _facts(column).items() if value is not None}


def _task(table: PublishedTable, column: PublishedColumn) -> str | None:
    """A column's task; None where each row has its own (Table 9)."""
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
        known = cell.ours is not None and cell.ours.recorded
        if cell.ours is None or not known or reference is None or row.method == table.compared_with:
            return cell
        ours = cell.ours.model_copy(update={"difference": cell.ours.mean - reference})
        return cell.model_copy(update={"ours": ours})

    return [
        row.model_copy(update={"cells": tuple(compared(row, cell) for cell in row.cells)}) for row in rows
    ]


def _with_best(rows: list[Row]) -> list[Row]:
    """The best score of each column; of equal ones all."""
    best: dict[str, float] = {}
    for row in rows:
        for cell in row.cells:
            if cell.ours is not None and cell.ours.recorded and cell.ours.metric in METRICS:
                best[cell.column] = max(best.get(cell.column, -math.inf), cell.ours.mean)

    def marked(cell: Cell) -> Cell:
        if cell.ours is None or cell.ours.mean != best.get(cell.column):
            return cell
        return cell.model_copy(update={"ours": cell.ours.model_copy(update={"best": True})})

    return [row.model_copy(update={"cells": tuple(map(marked, row.cells))}) for row in rows]


Show = Literal["ours", "both"]
"""Our own numbers alone, or the paper's beside them, marked as published."""
