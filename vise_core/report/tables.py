"""The result table: methods by task and protocol, mean ± std over splits, and the difference from IN-Sup."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from vise_core.errors import BadInput
from vise_core.specs.backbones import BACKBONES
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.reports import EvaluationCell, EvaluationRow, EvaluationTable
from vise_core.specs.tasks import METRICS

from .latex import LatexCell, latex_table
from .text import DIVERGED, STOPPED, markdown_escape, not_a_formula

REFERENCE_WEIGHTS = "in-sup"
"""The row that others of the same backbone are compared with (Tables 6, 7)."""


@dataclass(frozen=True)
class Cell:
    """One number of the table. ``mean`` is test's where there is a test set, else val's (``on``)."""

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
    diverged: int = 0
    edges: str = ""

    @property
    def value_text(self) -> str:
        digits = METRICS[self.metric].digits
        spread = "" if self.std is None else f" ± {self.std:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread} (n={self.n})"

    @property
    def difference_text(self) -> str:
        """Such as ↑ 1.20; an equals sign where it rounds to nothing; empty for the reference itself."""
        if self.difference is None:
            return ""
        digits = METRICS[self.metric].digits
        size = f"{abs(self.difference):.{digits}f}"
        if float(size) == 0:
            return f"= {size}"
        return f"{'↑' if self.difference > 0 else '↓'} {size}"

    @property
    def marks(self) -> str:
        """Footnote letters: s synthetic data, c cached features, e early stopping, d diverged points, v on val."""
        told = (
            ("s", self.synthetic),
            ("c", self.cached),
            ("e", self.stopped),
            ("d", self.diverged > 0),
            ("v", self.on == "val"),
        )
        return "".join(letter for letter, holds in told if holds)


@dataclass(frozen=True)
class ResultTable:
    """Rows (method, backbone) in order of first appearance, columns (task, protocol, metric)."""

    rows: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str, str], ...]
    cells: dict[tuple[tuple[str, str], tuple[str, str, str]], Cell]

    def header(self) -> list[str]:
        return [
            "Method",
            "Backbone",
            *(f"{task}, {protocol} ({METRICS[metric].title})" for task, protocol, metric in self.columns),
        ]

    def notes(self) -> list[str]:
        """What the marks and signs mean; only those that occur."""
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
    """Arrange results by method and by task and protocol.

    Raises BadInput for no results, or two of the same method, backbone, task and protocol: name them apart.
    """
    if not results:
        raise BadInput("no evaluation results: a table needs at least one")
    placed: dict[tuple[tuple[str, str], tuple[str, str, str]], EvaluateResult] = {}
    for result in results:
        place = (_row(result), _column(result))
        if place in placed:
            raise BadInput(
                f"two results of {result.method} ({result.backbone}) on {result.task}, {result.protocol}: give one "
                "another method name"
            )
        placed[place] = result
    references = {
        (_family(result.backbone), _column(result)): _value(result)[0]
        for result in results
        if result.weights == REFERENCE_WEIGHTS
    }
    best = {column: max(_value(r)[0] for (_, c), r in placed.items() if c == column) for _, column in placed}
    cells = {
        (row, column): _cell(result, references.get((_family(result.backbone), column)), best[column])
        for (row, column), result in placed.items()
    }
    return ResultTable(
        rows=tuple(dict.fromkeys(row for row, _ in placed)),
        columns=tuple(dict.fromkeys(column for _, column in placed)),
        cells=cells,
    )


def evaluation_table(results: Sequence[tuple[str, EvaluateResult]]) -> EvaluationTable:
    """The same as data, with the run behind each cell; (run id, result). Raises BadInput as ``build_table``."""
    table = build_table([result for _, result in results])
    runs = {(_row(result), _column(result)): run for run, result in results}

    def cell(place: tuple[tuple[str, str], tuple[str, str, str]]) -> EvaluationCell | None:
        found = table.cells.get(place)
        if found is None:
            return None
        return EvaluationCell(
            run=runs[place],
            value=found.value_text,
            difference=found.difference_text,
            marks=found.marks,
            best=found.best,
        )

    return EvaluationTable(
        columns=tuple(table.header()[2:]),
        rows=tuple(
            EvaluationRow(
                method=row[0],
                backbone=_backbone_title(row[1]),
                cells=tuple(cell((row, column)) for column in table.columns),
            )
            for row in table.rows
        ),
        notes=tuple(table.notes()),
    )


def render_table(table: ResultTable, format: Literal["markdown", "csv", "latex"]) -> str:
    """The table as text. Raises BadInput for a format that is not in ``FORMATS``."""
    if format not in FORMATS:
        raise BadInput(f"unknown table format {format!r}; one of {', '.join(FORMATS)}")
    return FORMATS[format](table)


def _row(result: EvaluateResult) -> tuple[str, str]:
    return result.method, result.backbone


def _column(result: EvaluateResult) -> tuple[str, str, str]:
    protocol = result.protocol if result.setup == "image" else f"{result.protocol}, {result.setup}"
    return result.task, protocol, result.metric


def _value(result: EvaluateResult) -> tuple[float, float | None, Literal["test", "val"]]:
    if result.test_mean is None:
        return result.val_mean, result.val_std, "val"
    return result.test_mean, result.test_std, "test"


def _cell(result: EvaluateResult, reference: float | None, best: float) -> Cell:
    mean, std, on = _value(result)
    compared = reference is not None and result.weights != REFERENCE_WEIGHTS
    return Cell(
        mean=mean,
        std=std,
        n=len(result.splits),
        on=on,
        metric=result.metric,
        difference=mean - reference if compared and reference is not None else None,
        best=mean == best,
        synthetic=result.synthetic,
        cached=result.features == "cached",
        stopped=result.stopped_early,
        diverged=result.diverged,
        edges=_edges(result),
    )


def _edges(result: EvaluateResult) -> str:
    """Where a split's chosen value lies at the end of its grid, such as "highest base_lr"."""
    found = [f"{end} {parameter}" for split in result.splits for parameter, end in split.edges.items()]
    return "; ".join(sorted(set(found)))


def _family(backbone: str) -> str:
    """Variants of one network are compared with one another: CLIP's ResNet-50 with IN-Sup's."""
    entry = BACKBONES.get(backbone)
    return backbone if entry is None else entry.family or entry.title


def _backbone_title(name: str) -> str:
    return BACKBONES[name].title if name in BACKBONES else name


def _markdown(table: ResultTable) -> str:
    lines = [table.header(), ["---"] * 2 + ["---:"] * len(table.columns)]
    for row in table.rows:
        line = [markdown_escape(row[0]), markdown_escape(_backbone_title(row[1]))]
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
    return body + "\n\n" + "; ".join(table.notes()) + ".\n"


CSV_COLUMNS = (
    "method", "backbone", "task", "protocol", "metric", "on", "mean", "std_ddof1", "splits", "difference_from_in_sup",
    "best", "synthetic", "features", "diverged_points", "grid_edges",
)  # fmt: skip


def _csv(table: ResultTable) -> str:
    """One line a number, at full precision: for other programs rather than for eyes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table.rows:
        for column in table.columns:
            cell = table.cells.get((row, column))
            if cell is None:
                continue
            names = [not_a_formula(text) for text in (*row, *column)]
            numbers = [cell.mean, cell.std, cell.n, cell.difference]
            features = "cached" if cell.cached else "augmented"
            writer.writerow(
                [*names, cell.on, *numbers, cell.best, cell.synthetic, features, cell.diverged, cell.edges]
            )
    return buffer.getvalue()


def _latex(table: ResultTable) -> str:
    rows = [
        (
            [row[0], _backbone_title(row[1])],
            [_latex_cell(table.cells.get((row, column))) for column in table.columns],
        )
        for row in table.rows
    ]
    return latex_table(table.header(), rows, table.notes())


def _latex_cell(cell: Cell | None) -> LatexCell:
    return None if cell is None else (cell.value_text, cell.difference_text, cell.marks, cell.best)


FORMATS: dict[str, Callable[[ResultTable], str]] = {"markdown": _markdown, "csv": _csv, "latex": _latex}
