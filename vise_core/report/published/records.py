"""Records of the paper's tables and figures. All values are published ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictStr

from vise_core.errors import BadInput
from vise_core.specs.base import Record

from .cells import ILLEGIBLE, Printed

Setup = Literal["image+text", "image+text-frozen", "image", "text"]
"""Hateful Memes' setups (Sec. 5.2): both towers trained, text tower frozen, one tower alone."""


class Facts(Record):
    """Facts about a number, set for a table, a column or a row; those nearest to the cell win."""

    task: str | None = Field(None, description="Downstream task, as in Table 8, or ImageNet.")
    protocol: Literal["linear", "fine-tuned"] | None = None
    setup: Setup | None = Field(None, description="Towers used for Hateful Memes; None for image-only tasks.")
    split: Literal["val", "test"] | None = Field(
        None, description="Set that a score is of. None: not a score, or the paper does not say."
    )
    metric: str | None = None
    unit: str | None = Field(
        None, description="%, fraction, percentage points, s, min, images, GPUs, classes."
    )
    backbone: str | None = Field(None, description="Name in specs.models.backbones.BACKBONES.")
    method: str | None = Field(None, description="Name of the method, the same in every table.")


class PublishedColumn(Facts):
    """A column of a published table. ``title`` is its heading as printed, outer heading first."""

    key: str
    title: tuple[str, ...]
    words: bool = Field(False, description="Facts in words, not numbers (Tables 1, 8).")
    note: str | None = None


class PublishedRow(Facts):
    """A row of a published table. ``label`` is as printed, None where lost; ``cells`` are in column order."""

    label: str | None = None
    group: str | None = Field(None, description="Heading above a group of rows (Tables 1, 6, 7).")
    cells: tuple[StrictStr, ...] = Field(description="As printed, or 'illegible'.")
    note: str | None = None

    @property
    def key(self) -> str:
        """Return backbone/method, or the known one of the two, else the label."""
        return "/".join(filter(None, (self.backbone, self.method))) or self.label or ILLEGIBLE


class TrainingSchedule(Record):
    """Training schedule in the left-most cell of Tables 10–16; all None where lost."""

    epochs: int | None
    lr_steps: tuple[int, ...] | None
    lr_decay: tuple[float, ...] | None
    illegible: bool = False


class Place(Record):
    """Table, row and column of a number."""

    table: str
    row: str
    column: str


class Erratum(Record):
    """An inconsistency of the paper itself. The numbers stay as printed.

    kind: ``difference`` (not value − reference), ``arrow`` (missing, or at odds with its sign), ``format``,
    ``heading``, ``tables`` (two tables disagree), ``text`` (a sentence, ``quote``, disagrees with a table; where it
    compares two numbers, ``places`` has first the one that the sentence has for the better).
    """

    kind: Literal["difference", "arrow", "format", "heading", "tables", "text"]
    places: tuple[Place, ...] = ()
    quote: str | None = None
    says: str
    evidence: str


class PublishedCell(Facts, Printed):
    """A number of the paper with its facts."""

    table: str
    row: str
    column: str


class PublishedTable(Record):
    """A table of the paper.

    Attributes
    ----------
    name: table1 … table16.
    compared_with: method whose row of the same backbone the arrows refer to, None where there are none.
    row_headings: headings of what stands left of ``columns``.
    cells: row by row, each row in the order of ``columns``.
    illegible: what is lost besides cells, in words.
    """

    name: str
    section: str
    caption: str
    row_headings: tuple[str, ...]
    compared_with: str | None = None
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]
    cells: tuple[PublishedCell, ...]
    schedule: TrainingSchedule | None = None
    notes: tuple[str, ...] = ()
    illegible: tuple[str, ...] = ()
    errata: tuple[Erratum, ...] = ()

    def cell(self, row: str, column: str) -> PublishedCell:
        """Return a cell by keys. Raises BadInput for a row or column that the table does not have."""
        for cell in self.cells:
            if (cell.row, cell.column) == (row, column):
                return cell
        rows, columns = (", ".join(part.key for part in parts) for parts in (self.rows, self.columns))
        raise BadInput(f"{self.name} has no cell {row!r}, {column!r}; rows: {rows}; columns: {columns}")

    def reference(self, cell: PublishedCell) -> PublishedCell | None:
        """Return the cell that ``cell.difference`` is relative to; None for the reference itself or without one."""
        if self.compared_with is None or cell.method == self.compared_with:
            return None
        row = "/".join(filter(None, (cell.backbone, self.compared_with)))
        return self.cell(row, cell.column)


class PublishedPoint(Record):
    """A bar or point of a published figure. ``place`` is the table cell with the same number, if any."""

    method: str
    backbone: str | None
    data_size: float | None = Field(None, description="Images or pairs seen in pretraining (Fig. 4's axis).")
    value: float | None
    std: float | None = None
    place: Place | None = None
    source: str | None = Field(None, description="Where in the text it stands, if in no table.")
    illegible: bool = False


class PublishedPanel(Facts):
    """A panel of a published figure: bars or points, and the dashed lines across it."""

    key: str
    title: str
    points: tuple[PublishedPoint, ...]
    lines: tuple[PublishedPoint, ...] = ()
    note: str | None = None


class PublishedFigure(Record):
    """A figure of the paper, with the numbers that tables and text give; the drawing is lost."""

    name: str
    section: str
    caption: str
    panels: tuple[PublishedPanel, ...]
    notes: tuple[str, ...] = ()
