"""Figures 7 and 8: the predictions of several models on the same images, with heat maps."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty
from frontend.components.table import Cell, show_table
from frontend.formatting import plain
from frontend.session import client
from frontend.style import synthetic_badge
from frontend.views.results.export import export_buttons
from frontend.views.results.filters import Query
from vise_client.client import ViseClient
from vise_core.report import QualitativeFigure
from vise_core.specs.reports.tables import ReportEntry


def qualitative_figure(entry: ReportEntry, query: Query) -> None:
    """Draw Figure 7 or 8 with our runs."""
    published = st.toggle(
        "Published predictions",
        key="published",
        bind="query-params",
        help="Show the paper's own predictions, marked as published. Its images are not available.",
    )
    query = {name: query[name] for name in ("tag", "synthetic")}
    figure = QualitativeFigure.model_validate(client().report_data(entry.name, **query))
    if not figure.rows:
        empty(
            f"{entry.title} has no results yet",
            "Run the stage “Compare predictions” on the predictors of several evaluations; for Figure 8, with more than "
            "eight images.",
            page="launch",
            label="Launch “Compare predictions”",
            query={"what": "qualitative"},
        )
    else:
        badge = synthetic_badge(figure.synthetic)
        told = f"{plain(figure.task or '')}, {plain(figure.map or '')}; [run](run?run={figure.run})"
        st.markdown(f"{badge} {told}".strip())
    with st.skeleton(480):
        png = _drawing(client(), entry.name, figure.run or "", published)
    st.image(
        png,
        caption=f"{entry.title}: predictions of each model for the same images; the table below lists them",
        alt=f"{entry.title}: images with a heat map of each model",
        width="stretch",
    )
    if figure.rows:
        _predictions(entry, figure)
    if published and figure.published_rows:
        _published_predictions(entry, figure)
    export_buttons(entry.name, entry.formats, query | {"published": published})


def _predictions(entry: ReportEntry, figure: QualitativeFigure) -> None:
    st.header("Predictions", anchor=False)
    rows = [
        (
            [example.path, example.label],
            [
                Cell("not run", quiet=True)
                if answer is None
                else Cell(
                    f"{'✓' if answer.right else '✗'} {answer.predicted}",
                    f"{answer.probability:.2f}",
                    (column.evaluation,) if column.evaluation else (),
                    answer.right,
                )
                for answer, column in zip(example.answers, figure.columns, strict=True)
            ],
        )
        for example in figure.rows
    ]
    headings = [(column.title.replace("\n", ", "),) for column in figure.columns]
    title = f"Predictions of {entry.title}"
    show_table(title, headings, rows, ["Image", "True class"], ["✓ right, ✗ wrong"])


def _published_predictions(entry: ReportEntry, figure: QualitativeFigure) -> None:
    show_table(
        f"Published predictions of {entry.title}",
        [(method,) for method in figure.published_methods],
        [
            (
                [row.label],
                [Cell(f"{'✓' if answer.right else '✗'} {answer.printed}") for answer in row.answers],
            )
            for row in figure.published_rows
        ],
        ["Published: true class"],
        ["the paper's own predictions, not ours"],
    )


@st.cache_data(max_entries=30, show_spinner=False)
def _drawing(_vise: ViseClient, name: str, run: str, published: bool) -> bytes:
    """Cached, since drawing takes seconds and the run never changes."""
    return _vise.report(name, "png", published=published, run=run)
