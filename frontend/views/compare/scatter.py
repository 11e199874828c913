"""A scatter plot: a metric of each run against a parameter or another metric."""

from __future__ import annotations

import streamlit as st

from frontend.charts.comparison import scatter_figure
from frontend.charts.curves import CONFIG
from frontend.charts.palette import is_dark
from frontend.components.figure import show_figure
from frontend.views.compare.groups import differing, group_names, run_names
from frontend.views.compare.metric import metric_select, name_left_out
from vise_client.schemas.comparison import Comparison


def scatter(comparison: Comparison, by: str) -> None:
    """Draw the scatter plot of a parameter or metric and the metric."""
    metric = metric_select(comparison)
    parameters = differing(comparison)
    columns = {**parameters, **{k: v for k, v in comparison.metrics.items() if k != metric}}
    if metric is None or not columns:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.selectbox("Horizontal axis", list(columns), key="against", bind="query-params", width=320)
        log_x = st.toggle("Log x", key="logx", bind="query-params")
    name_left_out(comparison, x)
    figure = scatter_figure(
        (x, columns[x]),
        (metric, comparison.metrics[metric]),
        run_names(comparison),
        group_names(comparison, by) if by in parameters else [""] * len(comparison.runs),
        log_x=log_x,
        dark=is_dark(),
    )
    show_figure(figure, key="scatter", config=CONFIG, alt=f"{metric} of each run against {x}")
