"""Tables and figures from results: the paper's, filled by our own runs, and the plain table of all of them."""

from vise_core.specs.reports import ENDINGS, PairedTest, ReportEntry, ReportFormat

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
from .tables import FORMATS, ResultTable, build_table, render_table

__all__ = [
    "ENDINGS",
    "FORMATS",
    "Comparison",
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
    "build_table",
    "catalogue",
    "figure",
    "formats",
    "observe",
    "observe_all",
    "paired_test",
    "qualitative",
    "render_table",
    "reproduce",
    "report",
    "write_all",
]
