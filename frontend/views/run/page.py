"""Run: the state of one run, and tabs with its curves, log, result, spec, lineage, artifacts and history."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

from frontend.components.layout import empty, page_title
from frontend.session import client, query_id, show_errors
from frontend.views.run.artifacts import run_artifacts
from frontend.views.run.curves import run_curves
from frontend.views.run.header import run_header
from frontend.views.run.history import run_history
from frontend.views.run.lineage import run_lineage
from frontend.views.run.log import run_log
from frontend.views.run.resources import run_resources
from frontend.views.run.result import run_result
from frontend.views.run.spec import run_spec
from vise_client.errors import ClientError
from vise_client.schemas.runs import RunView
from vise_core.specs.stages import STAGES

Tab = Callable[[RunView], None]

STAGE_TABS: dict[str, Tab] = {
    "Curves": lambda run: live(run_curves, run, 4),
    "Resources": lambda run: live(run_resources, run, 5),
    "Log": run_log,
    "Result": run_result,
    "Spec": run_spec,
    "Lineage": run_lineage,
    "Artifacts": run_artifacts,
    "History": run_history,
}
PARENT_TABS = {name: STAGE_TABS[name] for name in ("Spec", "Lineage", "History")}
"""Of a recipe or a sweep."""


def live(part: Tab, run: RunView, seconds: float) -> None:
    """Draw the part, and again every few seconds until the run has ended."""
    st.fragment(part, run_every=None if run.state.final else seconds)(run)


def first_tab(run: RunView, tabs: Iterable[str]) -> str:
    """Return the tab that is open at first: the curves; without metrics, the result or the log."""
    first = next(iter(tabs))
    if run.kind != "stage" or run.latest:
        return first
    if run.result is not None:
        return "Result"
    stage = STAGES.get(run.stage or "")
    has_curves = stage is not None and stage.measures
    return first if has_curves and not run.state.final else "Log"


def page() -> None:
    """Draw the page."""
    title = ("Run", "The state, metrics, log and results of one run.")
    run_id = query_id("run")
    if run_id is None:
        page_title(*title)
        empty("No run selected", "Select a run in the list of runs to see it here.", page="runs")
        return
    with show_errors():
        try:
            run = client().run(run_id)
        except ClientError:
            page_title(*title)
            raise
        live(run_header, run, 2)
        parts = STAGE_TABS if run.kind == "stage" else PARENT_TABS
        tabs = st.tabs(list(parts), default=first_tab(run, parts), key="tab", bind="query-params")
        for name, tab in zip(parts, tabs, strict=True):
            if tab.open:
                with tab:
                    parts[name](run)


page()
