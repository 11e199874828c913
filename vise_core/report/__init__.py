"""Tables and figures from results: the paper's, filled by our own runs, and the plain table of all of them."""

from .everything import ENDINGS, MEDIA_TYPES, NAMES, ReportFormat, formats, report, write_all
from .observations import Observation, observe, observe_all
from .paired import PairedTest, paired_test
from .tables import FORMATS, ResultTable, build_table, render_table

__all__ = [
    "ENDINGS",
    "FORMATS",
    "MEDIA_TYPES",
    "NAMES",
    "Observation",
    "PairedTest",
    "ReportFormat",
    "ResultTable",
    "build_table",
    "formats",
    "observe",
    "observe_all",
    "paired_test",
    "render_table",
    "report",
    "write_all",
]
