"""The controls above curves, which the page's address keeps: metrics, axes and smoothing."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.charts.curves import CurveOptions
from frontend.charts.marks import Axis

AXES: dict[str, Axis] = {"Step": "step", "Epoch": "epoch", "Wall time": "time"}


def curve_options() -> CurveOptions:
    """Draw a row of controls (horizontal axis, smoothing, log scales) and return the chosen options."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        axis = st.segmented_control(
            "Horizontal axis", list(AXES), default="Step", required=True, key="x", bind="query-params"
        )
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.98,
            0.0,
            0.02,
            key="smooth",
            bind="query-params",
            width=220,
            help="Weight of the exponential moving average, corrected for its start. The raw curve stays, faint.",
        )
        log_x = st.toggle("Log x", key="logx", bind="query-params")
        log_y = st.toggle(
            "Log y", key="logy", bind="query-params", help="Values of zero and below are not drawn."
        )
    return CurveOptions(AXES[axis or "Step"], log_x, log_y, smoothing)


def metric_select(keys: Sequence[str], default: Sequence[str]) -> list[str]:
    """Draw a selection of metrics and return the selected ones, in the order of ``keys``."""
    selected = st.multiselect(
        "Metrics",
        list(keys),
        default=list(default),
        key="metric",
        bind="query-params",
        placeholder="Select metrics",
        help="Charts are grouped by the prefix of the name, up to the first slash.",
    )
    return [key for key in keys if key in selected]
