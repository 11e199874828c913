"""The result of a run, in the view of its stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from frontend.components.layout import empty
from frontend.views.run.results.cluster import cluster_result
from frontend.views.run.results.default import default_result
from frontend.views.run.results.evaluate import evaluate_result
from frontend.views.run.results.explain import explain_result
from frontend.views.run.results.ingest import ingest_result
from frontend.views.run.results.integrity import integrity_result
from frontend.views.run.results.qualitative import qualitative_result
from vise_client.schemas.runs import RunView

RESULT_VIEWS: dict[str, Callable[[RunView, dict[str, Any]], None]] = {
    "ingest": ingest_result,
    "cluster": cluster_result,
    "evaluate": evaluate_result,
    "integrity": integrity_result,
    "explain": explain_result,
    "qualitative": qualitative_result,
}
"""Stage → the function that draws its result; other stages have the default view."""


def run_result(run: RunView) -> None:
    """Draw the result in the view of its stage, and all of it as JSON."""
    if run.result is None:
        empty("No result yet", "The result appears here when the run has succeeded.")
        return
    RESULT_VIEWS.get(run.stage or "", default_result)(run, run.result)
    with st.expander("Full result as JSON"):
        st.json(run.result, expanded=1)
