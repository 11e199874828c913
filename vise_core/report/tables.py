"""The result table: methods by task and protocol, mean ± std over splits, and the difference from IN-Sup."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from vise_core.errors import BadInput
from vise_core.escaping import csv_row, markdown_escape
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData
from vise_core.specs.models.backbones import BACKBONES
from vise_core.specs.reports.tables import EvaluationCell, EvaluationRow, EvaluationTable
from vise_core.specs.tasks.metrics import METRICS

from .comparable import Variants, measured_on
from .latex import LatexCell, latex_table
from .text import DIVERGED, STOPPED, backbone_title

REFERENCE_WEIGHTS = "in-sup"
"""Weights whose row is the reference for others of the same backbone (Tables 6, 7)."""


@dataclass(frozen=True)
class Cell:
    """A value of the table. ``mean`` is of test where the task has test labels, else of val (``on``)."""

    mean: float
    std: float | None
    n: int
    on: Literal["test", "val"]
    metric: str
    difference: float | None
    best: bool
    synthetic: bool
    cached: bool
    stopped: bool
    data: EvaluationData
    diverged: int = 0
    edges: str = ""

    @property
    def value_text(self) -> str:
        """Return the value, such as ``44.67 ± 3.52 (n=5)``."""
        digits = METRICS[self.metric].digits
        spread = "" if self.std is None else f" ± {self.std:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread} (n={self.n})"

    @property
    def difference_text(self) -> str:
        """Return the difference, such as ``↑ 1.20``, or ``= 0.00``; empty for the reference itself."""
        if self.difference is None:
            return ""
        digits = METRICS[self.metric].digits
        size = f"{abs(self.difference):.{digits}f}"
        if float(size) == 0:
            return f"= {size}"
        return f"{'↑' if self.difference > 0 else '↓'} {size}"

    @property
    def marks(self) -> str:
        """Return the footnote letters of a value.

        s synthetic data, c cached features, e early stopping, d diverged points, v on val.
        """
        letters = (
            ("s", self.synthetic),
            ("c", self.cached),
            ("e", self.stopped),
            ("d", self.diverged > 0),
            ("v", self.on == "val"),
        )
        return "".join(letter for letter, applies in letters if applies)


class Row(NamedTuple):
    """A row of the table: a method on a backbone."""

    method: str
    backbone: str


class Column(NamedTuple):
    """A column of comparable scores: one task, protocol and metric, on the same data and splits (``measured``)."""

    task: str
    protocol: str
    metric: str
    measured: str


@dataclass(frozen=True)
class ResultTable:
    """Table of results. Rows and columns are in order of first appearance, variants of one column side by side."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: dict[tuple[Row, Column], Cell]
    variants: Variants

    def title(self, column: Column) -> str:
        """Return the column's task, with a label where it has several data or splits."""
        return self.variants.title(column.task, column.measured)

    def header(self) -> list[str]:
        """Return the headings, left to right."""
        return [
            "Method",
            "Backbone",
            *(f"{self.title(each)}, {each.protocol} ({METRICS[each.metric].title})" for each in self.columns),
        ]

    def data_notes(self) -> list[str]:
        """Return why scores of one task are in several columns."""
        return [reason for task in self.variants.tasks for reason in self.variants.reasons(task)]

    def notes(self) -> list[str]:
        """Return the meaning of the signs and letters that occur in the table."""
        marks = {letter for cell in self.cells.values() for letter in cell.marks}
        notes = ["mean ± sample standard deviation (ddof 1) over n splits; best of a column in bold"]
        if any(cell.difference is not None for cell in self.cells.values()):
            notes.append("↑ ↓: difference from IN-Sup of the same backbone")
        meanings = {
            "s": "[s] synthetic data: generated, not real",
            "c": "[c] cached features: computed once, without augmentation",
            "e": f"[e] {STOPPED}",
            "d": f"[d] {DIVERGED}",
            "v": "[v] on val: the task has no test labels",
        }
        return notes + [text for letter, text in meanings.items() if letter in marks]


def build_table(results: Sequence[EvaluateResult]) -> ResultTable:
    """Arrange results in rows by method and backbone, in columns by task, protocol, data and splits.

    Raises BadInput for no results, or two of the same method, backbone and column.
    """
    if not results:
        raise BadInput("no evaluation results: a table needs at least one")
    placed: dict[tuple[Row, Column], EvaluateResult] = {}
    for result in results:
        place = (_row(result), _column(result))
        if place in placed:
            raise BadInput(
                f"two results of {result.method} ({result.backbone}) on {result.task}, {result.protocol}: change the "
                "method name of one"
            )
        placed[place] = result
    references = {
        (_family(result.backbone), _column(result)): _value(result)[0]
        for result in results
        if result.weights == REFERENCE_WEIGHTS
    }
    best: dict[Column, float] = {}
    for (_, column), result in placed.items():
        best[column] = max(best.get(column, -math.inf), _value(result)[0])
    cells = {
        (row, column): _cell(result, references.get((_family(result.backbone), column)), best[column])
        for (row, column), result in placed.items()
    }
    return ResultTable(
        rows=tuple(dict.fromkeys(row for row, _ in placed)),
        columns=_side_by_side([column for _, column in placed]),
        cells=cells,
        variants=Variants((result.task, measured_on(result)) for result in placed.values()),
    )


def _side_by_side(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return each column once, in order of first appearance; variants of one column are neighbours."""
    variants: dict[tuple[str, str, str], dict[Column, None]] = {}
    for column in columns:
        variants.setdefault(column[:3], {})[column] = None
    return tuple(column for group in variants.values() for column in group)


def evaluation_table(results: Sequence[tuple[str, EvaluateResult]]) -> EvaluationTable:
    """Return the table of ``results`` (run id, result) as data. Raises BadInput as ``build_table`` does."""
    table = build_table([result for _, result in results])
    runs = {(_row(result), _column(result)): run for run, result in results}

    def cell(place: tuple[Row, Column]) -> EvaluationCell | None:
        ours = table.cells.get(place)
        if ours is None:
            return None
        return EvaluationCell(
            run=runs[place],
            value=ours.value_text,
            difference=ours.difference_text,
            marks=ours.marks,
            best=ours.best,
        )

    return EvaluationTable(
        columns=tuple(table.header()[2:]),
        rows=tuple(
            EvaluationRow(
                method=row.method,
                backbone=backbone_title(row.backbone),
                cells=tuple(cell((row, column)) for column in table.columns),
            )
            for row in table.rows
        ),
        notes=tuple(table.notes()),
        data_notes=tuple(table.data_notes()),
    )


def render_table(table: ResultTable, format: Literal["markdown", "csv", "latex"]) -> str:
    """Return the table as text. Raises BadInput for a format that is not in ``FORMATS``."""
    if format not in FORMATS:
        raise BadInput(f"unknown table format {format!r}; one of {', '.join(FORMATS)}")
    return FORMATS[format](table)


def _row(result: EvaluateResult) -> Row:
    return Row(result.method, result.backbone)


def _column(result: EvaluateResult) -> Column:
    protocol = result.protocol if result.setup == "image" else f"{result.protocol}, {result.setup}"
    return Column(result.task, protocol, result.metric, measured_on(result).key)


def _value(result: EvaluateResult) -> tuple[float, float | None, Literal["test", "val"]]:
    if result.test_mean is None:
        return result.val_mean, result.val_std, "val"
    return result.test_mean, result.test_std, "test"


def _cell(result: EvaluateResult, reference: float | None, best: float) -> Cell:
    mean, std, on = _value(result)
    if result.weights == REFERENCE_WEIGHTS:
        reference = None
    return Cell(
        mean=mean,
        std=std,
        n=len(result.splits),
        on=on,
        metric=result.metric,
        difference=None if reference is None else mean - reference,
        best=mean == best,
        synthetic=result.synthetic,
        cached=result.features == "cached",
        stopped=result.stopped_early,
        data=result.data,
        diverged=result.diverged,
        edges=_edges(result),
    )


def _edges(result: EvaluateResult) -> str:
    """Return parameters chosen at an end of their grid, such as ``highest base_lr``."""
    edges = [f"{end} {parameter}" for split in result.splits for parameter, end in split.edges.items()]
    return "; ".join(sorted(set(edges)))


def _family(backbone: str) -> str:
    """Return the network that a backbone is a variant of: CLIP's ResNet-50 is compared with IN-Sup's."""
    entry = BACKBONES.get(backbone)
    return backbone if entry is None else entry.family or entry.title


def _markdown(table: ResultTable) -> str:
    lines = [table.header(), ["---"] * 2 + ["---:"] * len(table.columns)]
    for row in table.rows:
        line = [markdown_escape(row.method), markdown_escape(backbone_title(row.backbone))]
        for column in table.columns:
            cell = table.cells.get((row, column))
            if cell is None:
                line.append("–")
                continue
            value = f"**{cell.value_text}**" if cell.best else cell.value_text
            marks = f"[{cell.marks}]" if cell.marks else ""
            line.append(" ".join(filter(None, (value, cell.difference_text, marks))))
        lines.append(line)
    lines[0] = [markdown_escape(text) for text in lines[0]]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    notes = [*table.notes(), *map(markdown_escape, table.data_notes())]
    return body + "\n\n" + "; ".join(notes) + ".\n"


CSV_COLUMNS = (
    "method", "backbone", "task", "protocol", "metric", "on", "mean", "std_ddof1", "splits", "difference_from_in_sup",
    "best", "synthetic", "features", "diverged_points", "grid_edges", "data_digest", "texts_digest", "splits_digest",
    "note",
)  # fmt: skip


def _csv(table: ResultTable) -> str:
    """Write one line a value, at full precision."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table.rows:
        for column in table.columns:
            cell = table.cells.get((row, column))
            if cell is None:
                continue
            names = [*row, table.title(column), column.protocol, column.metric]
            numbers = [cell.mean, cell.std, cell.n, cell.difference]
            features = "cached" if cell.cached else "augmented"
            facts = [cell.best, cell.synthetic, features, cell.diverged, cell.edges]
            digests = [cell.data.labels_digest, cell.data.texts_digest, cell.data.splits_digest]
            note = table.variants.reason(column.task, column.measured)
            writer.writerow(csv_row([*names, cell.on, *numbers, *facts, *digests, note]))
    return buffer.getvalue()


def _latex(table: ResultTable) -> str:
    rows = [
        (
            [row.method, backbone_title(row.backbone)],
            [_latex_cell(table.cells.get((row, column))) for column in table.columns],
        )
        for row in table.rows
    ]
    return latex_table(table.header(), rows, [*table.notes(), *table.data_notes()])


def _latex_cell(cell: Cell | None) -> LatexCell:
    return None if cell is None else (cell.value_text, cell.difference_text, cell.marks, cell.best)


FORMATS: dict[str, Callable[[ResultTable], str]] = {"markdown": _markdown, "csv": _csv, "latex": _latex}
