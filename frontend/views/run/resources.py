"""CPU, memory and GPU usage of a run over time."""

from __future__ import annotations

import streamlit as st

from frontend.charts.curves import CONFIG, CurveOptions, Line, curve_figure
from frontend.charts.palette import is_dark
from frontend.components.figure import show_figure
from frontend.components.layout import empty
from frontend.formatting import number
from frontend.session import client, show_errors
from vise_client.schemas.metrics import Curve, MetricQuery
from vise_client.schemas.runs import RunView

SYSTEM = "system/"
TITLES = {"cpu_percent": "CPU, % of one core", "memory_bytes": "Memory, GiB"}
GPU_TITLES = {"utilisation_percent": "utilisation, %", "memory_bytes": "memory, GiB"}


def run_resources(run: RunView) -> None:
    """Draw a chart for each resource."""
    with show_errors():
        curves = client().curves(MetricQuery(run_ids=[run.id], prefix=SYSTEM, points=300))
        if not curves:
            empty(
                "No measurements yet",
                "CPU, memory and GPU usage appear here: the worker measures them every few seconds during the run.",
            )
            return
        columns = st.columns(2)
        for position, curve in enumerate(curves):
            title, scaled = _title(curve.key), _in_gibibytes(curve)
            figure = curve_figure(title, [Line(title, scaled)], CurveOptions(x="time"), dark=is_dark())
            figure.update_yaxes(rangemode="tozero")
            last = "" if scaled.values[-1] is None else f", last {number(scaled.values[-1])}"
            with columns[position % 2]:
                show_figure(
                    figure, key=f"resource-{curve.key}", config=CONFIG, alt=f"{title} over time{last}"
                )
        st.caption(
            "Of the run's process and its child processes. 100 % CPU is one core. Memory that processes share is "
            "counted in each of them."
        )


def _title(key: str) -> str:
    name = key.removeprefix(SYSTEM)
    if name.startswith("gpu") and "/" in name:
        gpu, _, quantity = name.partition("/")
        return f"GPU {gpu.removeprefix('gpu')} {GPU_TITLES.get(quantity, quantity)}"
    return TITLES.get(name, name)


def _in_gibibytes(curve: Curve) -> Curve:
    if not curve.key.endswith("_bytes"):
        return curve
    values = [None if value is None else value / 2**30 for value in curve.values]
    return curve.model_copy(update={"values": values})
