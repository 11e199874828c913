"""Tables from results."""

from .tables import FORMATS, ResultTable, build_table, render_table

__all__ = ["FORMATS", "ResultTable", "build_table", "render_table"]
