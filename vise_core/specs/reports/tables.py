"""Records of tables, figures and tests made from results."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base import Record

ReportFormat = Literal["markdown", "csv", "latex", "png", "svg", "pdf"]
ENDINGS: dict[ReportFormat, str] = {
    "markdown": "md", "csv": "csv", "latex": "tex", "png": "png", "svg": "svg", "pdf": "pdf",
}  # fmt: skip


class ReportEntry(Record):
    """A table or figure of a report."""

    name: str
    kind: Literal["table", "figure"]
    title: str
    caption: str
    formats: tuple[ReportFormat, ...]


class Selection(Record):
    """The part of a table or figure to make; None selects all."""

    task: str | None = None
    protocol: str | None = None
    backbone: str | None = None
    method: str | None = None


class Choices(Record):
    """The values that a selection can have: those of our evaluations, each list sorted."""

    tasks: tuple[str, ...]
    protocols: tuple[str, ...]
    backbones: tuple[str, ...]
    methods: tuple[str, ...]
    tags: tuple[str, ...]


class EvaluationCell(Record):
    """One evaluation in the table of all evaluations."""

    run: str = Field(description="Id of the run.")
    value: str = Field(description="Mean ± sample std (n=splits).")
    difference: str = Field(description="From IN-Sup of the same backbone, such as ↑ 1.20; empty for none.")
    marks: str = Field(description="Footnote letters: s synthetic, c cached features, v reported on val.")
    best: bool


class EvaluationRow(Record):
    """A method in the table of all evaluations; ``cells`` in the order of the columns, None without an evaluation."""

    method: str
    backbone: str
    cells: tuple[EvaluationCell | None, ...]


class EvaluationTable(Record):
    """The newest evaluation of each method and backbone on each task, protocol, metric, data and splits."""

    columns: tuple[str, ...]
    rows: tuple[EvaluationRow, ...]
    notes: tuple[str, ...]
    data_notes: tuple[str, ...] = Field(
        (), description="Why columns of one task's name are not one column: other data, or other splits."
    )


class PairedTest(Record):
    """A paired test of two evaluations: the differences a - b over their splits.

    ``p`` is the p-value of Student's paired t-test. Random splits of one set share images, so that their scores are not
    independent and ``p`` comes out too small; ``p_corrected`` widens the variance by the share of test to train images
    (Nadeau and Bengio 2003, corrected resampled t-test).
    """

    a: str
    b: str
    task: str
    protocol: str
    metric: str
    on: str = Field(description="test, or val where the task has no test labels.")
    differences: tuple[float, ...] = Field(description="a - b on each split, in the metric's unit.")
    mean: float
    std: float = Field(description="Sample std (ddof 1) of the differences.")
    t: float | None = Field(
        description="None where all differences are equal: there is no spread to test by."
    )
    p: float | None = Field(description="Two-sided.")
    p_corrected: float | None = Field(description="Two-sided, corrected for overlapping random splits.")
    effect_size: float | None = Field(description="Cohen's d_z: mean over std of the differences.")
    synthetic: bool = False

    def sentence(self) -> str:
        """Return the result of the test as a sentence."""
        n = len(self.differences)
        if self.p is None:
            return f"{self.a} − {self.b}: {self.mean:+.4g} on each of {n} splits; no spread, so no test."
        return (
            f"{self.a} − {self.b}: {self.mean:+.4g} ± {self.std:.4g} over {n} splits; paired t-test p = {self.p:.3g} "
            f"(p = {self.p_corrected:.3g} corrected for overlapping splits), effect size d_z = {self.effect_size:.2f}."
        )
