"""The empty state and the export buttons of a report."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import streamlit as st

from frontend.components.layout import empty
from frontend.session import client
from frontend.views.results.filters import Query
from vise_core.specs.reports.tables import ENDINGS, ReportEntry, ReportFormat

LABELS: dict[ReportFormat, str] = {
    "markdown": "Markdown", "csv": "CSV", "latex": "LaTeX", "png": "PNG", "svg": "SVG", "pdf": "PDF",
}  # fmt: skip


def export_buttons(name: str, formats: Iterable[ReportFormat], query: Query) -> None:
    """Draw a button for each format; the file is made when the button is pressed."""
    with st.container(horizontal=True):
        for format in formats:
            st.download_button(
                f"Export {LABELS[format]}",
                partial(client().report, name, format, **query),
                file_name=f"{name}.{ENDINGS[format]}",
                key=f"export-{format}",
                on_click="ignore",
            )


def no_runs_yet(entry: ReportEntry) -> None:
    """Draw the empty state of a table or figure of the paper."""
    empty(
        f"{entry.title} has no results yet",
        "Launch a recipe that fills it: at the paper's scale, or small on synthetic data.",
        page="launch",
        label="Launch a recipe",
    )


def footnotes(letters: str) -> str:
    """Return the letters of the footnotes behind a number: ``[sc]``."""
    return f"[{letters}]" if letters else ""
