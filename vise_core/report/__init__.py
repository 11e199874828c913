"""Tables and figures from evaluation results: the paper's, filled with our own runs, and a table of all results."""

from vise_core.specs.reports.tables import (
    ENDINGS,
    Choices,
    EvaluationTable,
    PairedTest,
    ReportEntry,
    ReportFormat,
    Selection,
)

from .everything import (
    MEDIA_TYPES,
    NAMES,
    catalogue,
    formats,
    report,
    write_all,
)
from .figures import OurFigure, figure
from .observations import Observation, observe, observe_all
from .paired import paired_test
from .qualitative import Comparison, QualitativeFigure, qualitative
from .reproduced import ReproducedTable, reproduce
from .select import select_figure, select_table
from .tables import FORMATS, ResultTable, build_table, evaluation_table, render_table

__all__ = [
    "ENDINGS",
    "FORMATS",
    "Choices",
    "Comparison",
    "EvaluationTable",
    "MEDIA_TYPES",
    "NAMES",
    "Observation",
    "OurFigure",
    "PairedTest",
    "QualitativeFigure",
    "ReportEntry",
    "ReportFormat",
    "ReproducedTable",
    "ResultTable",
    "Selection",
    "build_table",
    "catalogue",
    "evaluation_table",
    "figure",
    "formats",
    "observe",
    "observe_all",
    "paired_test",
    "qualitative",
    "render_table",
    "reproduce",
    "report",
    "select_figure",
    "select_table",
    "write_all",
]
