"""Compare: up to 100 runs side by side. The address names them, or has a query that finds them."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from frontend.components.layout import empty, page_title
from frontend.formatting import plain
from frontend.session import client, show_errors
from frontend.style import synthetic_badge
from frontend.views.compare.curves import curves
from frontend.views.compare.differences import differences
from frontend.views.compare.groups import group_options
from frontend.views.compare.importance import importance
from frontend.views.compare.parallel import parallel
from frontend.views.compare.scatter import scatter
from frontend.views.compare.selection import run_select, selected_runs
from vise_client.schemas.comparison import CompareQuery, Comparison

TABS: dict[str, Callable[[Comparison, str], None]] = {
    "Differences": lambda comparison, _: differences(comparison),
    "Curves": curves,
    "Scatter": scatter,
    "Parallel": lambda comparison, _: parallel(comparison),
    "Importance": lambda comparison, _: importance(comparison),
}


def notes(comparison: Comparison) -> None:
    """Draw notes on runs that are missing, synthetic, or evaluated on other data."""
    if comparison.missing:
        st.warning(f"{len(comparison.missing)} of these runs do not exist; they may have been deleted.")
    if any(run.synthetic for run in comparison.runs):
        st.markdown(f"{synthetic_badge(True)} :gray[in at least one of these runs]")
    if comparison.not_compared:
        st.warning(
            "These evaluations were not all measured on the same data and splits; do not compare their numbers.  \n"
            + "  \n".join(plain(reason) for reason in comparison.not_compared)
        )


def page() -> None:
    """Draw the page: which runs are compared, then a tab for each view of them."""
    page_title("Compare", "Runs side by side: how their parameters and their results differ.")
    with show_errors():
        selected = selected_runs()
        run_select(selected)
        if len(selected) < 2:
            empty(
                "Nothing to compare yet", "Select two or more runs, above or on the page Runs.", page="runs"
            )
            return
        comparison = client().compare(CompareQuery(run_ids=selected))
        notes(comparison)
        if len(comparison.runs) < 2:
            return
        by = st.selectbox("Group by", group_options(comparison), key="by", bind="query-params", width=360)
        # The key is not "tab": the session would open the tab that was open on the page Run.
        tabs = st.tabs(list(TABS), key="part", bind="query-params")
        for draw, tab in zip(TABS.values(), tabs, strict=True):
            if tab.open:
                with tab:
                    draw(comparison, by)


page()
