"""What a published table and figure consist of. Everything here is the paper's, never ours."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictStr

from vise_core.errors import BadInput
from vise_core.specs.base import Record

from .cells import ILLEGIBLE, Printed

Setup = Literal["image+text", "image+text-frozen", "image", "text"]
"""Hateful Memes' setups (Sec. 5.2): both towers trained, text tower frozen, one tower alone."""


class Facts(Record):
    """What a number is about. Given for a table, a column or a row; what is nearer to the cell wins."""

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
    """A column. ``title`` is its heading as printed, outer heading first."""

    key: str
    title: tuple[str, ...]
    words: bool = Field(False, description="Facts in words, not numbers (Tables 1, 8).")
    note: str | None = None


class PublishedRow(Facts):
    """A row. ``label`` is what the paper prints, None where it is lost; ``cells`` go with the columns."""

    label: str | None = None
    group: str | None = Field(None, description="Heading above a group of rows (Tables 1, 6, 7).")
    cells: tuple[StrictStr, ...] = Field(description="As printed, or 'illegible'.")
    note: str | None = None

    @property
    def key(self) -> str:
        """backbone/method, or what there is of the two, else the label."""
        return "/".join(filter(None, (self.backbone, self.method))) or self.label or ILLEGIBLE


class TrainingSchedule(Record):
    """The left-most cell of Tables 10–16. All None where it is lost."""

    epochs: int | None
    lr_steps: tuple[int, ...] | None
    lr_decay: tuple[float, ...] | None
    illegible: bool = False


class Place(Record):
    """Where a number stands."""

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
    """One number of the paper, with all that is known about it."""

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
        """Raises BadInput for a row or column that the table does not have."""
        for cell in self.cells:
            if (cell.row, cell.column) == (row, column):
                return cell
        rows, columns = (", ".join(one.key for one in many) for many in (self.rows, self.columns))
        raise BadInput(f"{self.name} has no cell {row!r}, {column!r}; rows: {rows}; columns: {columns}")

    def reference(self, cell: PublishedCell) -> PublishedCell | None:
        """The cell that ``cell.difference`` is counted from; None for that cell itself and where there is none."""
        if self.compared_with is None or cell.method == self.compared_with:
            return None
        row = "/".join(filter(None, (cell.backbone, self.compared_with)))
        return self.cell(row, cell.column)


class PublishedPoint(Record):
    """A bar or point of a figure. ``place`` is the table's cell with the same number, if one has it."""

    method: str
    backbone: str | None
    data_size: float | None = Field(None, description="Images or pairs seen in pretraining (Fig. 4's axis).")
    value: float | None
    std: float | None = None
    place: Place | None = None
    source: str | None = Field(None, description="Where in the text it stands, if in no table.")
    illegible: bool = False


class PublishedPanel(Facts):
    """One panel: its bars or points, and the dashed lines drawn through it."""

    key: str
    title: str
    points: tuple[PublishedPoint, ...]
    lines: tuple[PublishedPoint, ...] = ()
    note: str | None = None


class PublishedFigure(Record):
    """A figure of the paper, as far as tables and text give its numbers; the drawing itself is lost."""

    name: str
    section: str
    caption: str
    panels: tuple[PublishedPanel, ...]
    notes: tuple[str, ...] = ()
