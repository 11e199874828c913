"""Operations on reports: the paper's tables and figures, filled by the server's runs."""

from __future__ import annotations

from typing import Any

from vise_core.specs.reports.tables import Choices, EvaluationTable, PairedTest, ReportEntry, ReportFormat

from ..operation import Id, get


class ReportOperations:
    """Make tables and figures of evaluations."""

    @get("/reports")
    def reports(self) -> list[ReportEntry]:
        """Return the tables and figures that the server can make, with their formats."""

    @get("/reports/choices")
    def report_choices(self) -> Choices:
        """Return the tasks, protocols, backbones, methods and tags that reports can be filtered by."""

    @get("/reports/{name}")
    def report(
        self,
        name: str,
        format: ReportFormat | None = None,
        *,
        published: bool = False,
        only_run: bool = False,
        tag: str | None = None,
        synthetic: bool | None = None,
        run: Id | None = None,
        task: str | None = None,
        protocol: str | None = None,
        backbone: str | None = None,
        method: str | None = None,
    ) -> bytes:
        """Return a table or figure as the content of a file.

        Args:
            format: None for Markdown (tables) or PNG (figures).
            published: add the paper's own numbers.
            only_run: leave out rows without a run.
            tag: only runs with this tag.
            synthetic: only runs on generated data, or only on real data.
            run: the qualitative run of figures 7 and 8.
            task, protocol, backbone, method: only evaluations of these.
        """

    @get("/reports/{name}/data")
    def report_data(
        self,
        name: str,
        *,
        tag: str | None = None,
        synthetic: bool | None = None,
        task: str | None = None,
        protocol: str | None = None,
        backbone: str | None = None,
        method: str | None = None,
    ) -> dict[str, Any]:
        """Return the numbers of a table or figure, as ``vise_core.report`` defines it; filters as of ``report``."""

    @get("/reports/results")
    def results(
        self,
        format: ReportFormat = "markdown",
        *,
        tag: str | None = None,
        synthetic: bool | None = None,
        task: str | None = None,
        protocol: str | None = None,
        backbone: str | None = None,
        method: str | None = None,
    ) -> bytes:
        """Return one table of all evaluations as the content of a file; filters as of ``report``."""

    @get("/reports/results/data")
    def evaluation_table(
        self,
        *,
        tag: str | None = None,
        synthetic: bool | None = None,
        task: str | None = None,
        protocol: str | None = None,
        backbone: str | None = None,
        method: str | None = None,
    ) -> EvaluationTable:
        """Return the newest evaluation of each method, backbone, task and protocol; filters as of ``report``."""

    @get("/reports/paired")
    def paired_test(self, a: Id, b: Id) -> PairedTest:
        """Compare two evaluate runs over their splits: mean of a minus b, p-value and effect size."""
