"""One run: how it stands, its curves, its machine, its log, what it was made of and what it made."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

from frontend.components.layout import empty, page_title
from frontend.session import client, query_id, show_errors
from frontend.views.run.artifacts import run_artifacts
from frontend.views.run.curves import run_curves
from frontend.views.run.header import run_head
from frontend.views.run.history import run_history
from frontend.views.run.lineage import run_lineage
from frontend.views.run.log import run_log
from frontend.views.run.resources import run_machine
from frontend.views.run.result import run_result
from frontend.views.run.spec import run_spec
from vise_client.errors import ClientError
from vise_client.schemas.runs import RunView
from vise_core.specs.stages import STAGES

Part = Callable[[RunView], None]

OF_A_STAGE: dict[str, Part] = {
    "Curves": lambda run: live(curves, run, 4),
    "Machine": lambda run: live(machine, run, 5),
    "Log": run_log,
    "Result": run_result,
    "Spec": run_spec,
    "Lineage": lambda run: run_lineage(run.id),
    "Artifacts": lambda run: run_artifacts(run.artifacts),
    "History": run_history,
}
OF_A_PARENT = {name: OF_A_STAGE[name] for name in ("Spec", "Lineage", "History")}

UNTOLD = ("Run", "One run, in every detail.")
"""Title and purpose where there is no run to name the page after."""


def live(part: Part, run: RunView, seconds: float) -> None:
    """Draw the part, and again each few seconds until the run is over."""
    st.fragment(part, run_every=None if run.state.final else seconds)(run)


def head(run: RunView) -> None:
    run_head(run.id, run.state)


def curves(run: RunView) -> None:
    with show_errors():
        now = run if run.state.final else client().run(run.id)
        run_curves(run.id, list(now.latest))


def machine(run: RunView) -> None:
    run_machine(run.id)


def first_tab(run: RunView, parts: Iterable[str]) -> str:
    """Where a run's page opens: at its curves, or at its result or log where it has none."""
    first = next(iter(parts))
    if run.kind != "stage" or run.latest:
        return first
    if run.result is not None:
        return "Result"
    stage = STAGES.get(run.stage or "")
    has_curves = stage is not None and stage.measures
    return first if has_curves and not run.state.final else "Log"


def page() -> None:
    run_id = query_id("run")
    if run_id is None:
        page_title(*UNTOLD)
        empty("No run is chosen.", "Choose one from the list of runs.", page="runs", label="Runs")
        return
    with show_errors():
        try:
            run = client().run(run_id)
        except ClientError:
            page_title(*UNTOLD)
            raise
        live(head, run, 2)
        parts = OF_A_STAGE if run.kind == "stage" else OF_A_PARENT
        tabs = st.tabs(list(parts), default=first_tab(run, parts), key="tab", bind="query-params")
        for name, tab in zip(parts, tabs, strict=True):
            if tab.open:
                with tab:
                    parts[name](run)


page()
