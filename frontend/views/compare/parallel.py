"""Parallel coordinates: one line for each run over its parameters to a metric."""

from __future__ import annotations

import streamlit as st

from frontend.charts.comparison import parallel_figure
from frontend.charts.curves import CONFIG
from frontend.charts.palette import is_dark
from frontend.components.figure import show_figure
from frontend.views.compare.groups import differing
from frontend.views.compare.metric import metric_select
from vise_client.schemas.comparison import Comparison

DEFAULT_AXES = 8


def parallel(comparison: Comparison) -> None:
    """Draw the parallel coordinates of parameters and metric."""
    metric = metric_select(comparison)
    columns = differing(comparison)
    if metric is None or not columns:
        st.info("The parameters of these runs do not differ.")
        return
    axes = st.multiselect(
        "Parameters", list(columns), default=list(columns)[:DEFAULT_AXES], key="axes", bind="query-params"
    )
    values = comparison.metrics[metric]
    if sum(value is not None for value in values) < 2 or not axes:
        st.info("Select at least one parameter, and a metric that at least two runs have.")
        return
    with st.container(key="wide-parallel"):
        show_figure(
            parallel_figure({path: columns[path] for path in axes}, (metric, values), dark=is_dark()),
            key="parallel",
            config=CONFIG,
            width=max(640, 140 * (len(axes) + 1)),
            alt=f"A line for each run over {', '.join(axes)} to {metric}; the tab Differences has the numbers",
        )
    st.caption(
        "Drag along an axis to select the runs that pass through; drag the name of an axis to move it."
    )
