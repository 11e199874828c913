"""How curves are drawn and which: the same controls on every page that shows curves, kept in its address."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.charts.curves import Look
from frontend.charts.marks import Axis

AXES: dict[str, Axis] = {"Step": "step", "Epoch": "epoch", "Wall time": "time"}


def look_controls() -> Look:
    """One row: axis, smoothing, log scales."""
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
            help="Exponential moving average, corrected for its start; the raw points stay, faint.",
        )
        log_x = st.toggle("Log x", key="logx", bind="query-params")
        log_y = st.toggle(
            "Log y", key="logy", bind="query-params", help="Values of zero and below have no place on it."
        )
    return Look(AXES[axis or "Step"], log_x, log_y, smoothing)


def metric_controls(keys: Sequence[str], default: Sequence[str], *, label: str = "Metrics") -> list[str]:
    """The chosen metrics; without a choice, the default ones."""
    chosen = st.multiselect(
        label,
        list(keys),
        default=list(default),
        key="metric",
        bind="query-params",
        placeholder="Choose metrics",
        help="Charts are grouped by what stands before the first slash of a name.",
    )
    return [key for key in keys if key in chosen]


def by_prefix(keys: Sequence[str]) -> dict[str, list[str]]:
    """{what stands before the slash, or nothing: names}, in order."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(key.partition("/")[0] if "/" in key else "", []).append(key)
    return dict(sorted(groups.items()))
