"""The metric of a comparison's chart, and the runs that the chart leaves out."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty
from frontend.formatting import plain
from frontend.views.compare.groups import run_names
from vise_client.schemas.comparison import Comparison


def metric_select(comparison: Comparison) -> str | None:
    """Draw a selection of metrics and return the selected one, the same for all tabs; None if the runs have none."""
    if not comparison.metrics:
        empty("No metrics yet", "Charts appear here when these runs have logged metrics.")
        return None
    metric = st.selectbox("Metric", list(comparison.metrics), key="target", bind="query-params", width=360)
    name_left_out(comparison, metric)
    return metric


def name_left_out(comparison: Comparison, metric: str | None) -> None:
    """Name the runs whose value of the metric is NaN or infinite: charts cannot show them."""
    places = comparison.not_finite.get(metric or "", {})
    if places:
        names = run_names(comparison)
        left_out = ", ".join(f"{names[place]} ({value})" for place, value in sorted(places.items()))
        st.caption(
            f":material/warning: Left out, because their {plain(metric or 'metric')} is not finite: {plain(left_out)}."
        )
