"""Which parameters a metric depends on: rank correlation and share of variance."""

from __future__ import annotations

import streamlit as st

from frontend.components.table import show_rows
from frontend.session import client
from frontend.views.compare.metric import metric_select
from vise_client.schemas.comparison import CompareQuery, Comparison

FEW_RUNS = 10
"""Fewer runs than these get a warning."""


def importance(comparison: Comparison) -> None:
    """Draw the importance of each parameter for the metric."""
    metric = metric_select(comparison)
    if metric is None:
        return
    run_ids = [run.id for run in comparison.runs]
    computed = client().compare(CompareQuery(run_ids=run_ids, metric=metric))
    if left_out := len(run_ids) - len(computed.importance_over):
        st.info(f"{left_out} of these runs are left out: they were measured on other data or splits.")
    rows = computed.importance
    if not rows:
        st.info("No parameter differs between the runs that have this metric.")
        return
    show_rows(
        {
            "parameter": [row.path for row in rows],
            "rank correlation ρ": [row.rank_correlation for row in rows],
            "variance share ε²": [row.variance_share for row in rows],
            "runs": [row.runs for row in rows],
        },
        hide_index=True,
        column_config={
            "rank correlation ρ": st.column_config.NumberColumn(format="%+.2f"),
            "variance share ε²": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1),
        },
    )
    st.caption(
        "**ρ** is Spearman's rank correlation, for numeric parameters: +1 if the metric always increases with the "
        "parameter, −1 if it always decreases. **ε²** is the share of the metric's variance between groups of equal "
        "value, corrected for the number of groups (one-way analysis of variance; numeric parameters with many values "
        "are divided into quartiles). Both describe association in these runs, not causation."
    )
    if len(run_ids) < FEW_RUNS:
        st.warning(f"With fewer than {FEW_RUNS} runs, these numbers are not reliable.")
