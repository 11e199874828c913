"""What the run asks of its machine: CPU, memory and GPUs over time, apart from the curves of the science."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts.curves import CONFIG, Line, Look, curve_figure
from frontend.charts.palette import is_dark
from frontend.components.layout import empty
from frontend.formatting import number
from frontend.session import client, show_errors
from vise_client.schemas.metrics import Curve, MetricQuery

SYSTEM = "system/"
TITLES = {"cpu_percent": "CPU, % of one core", "memory_bytes": "Memory, GiB"}
GPU_TITLES = {"utilisation_percent": "utilisation, %", "memory_bytes": "memory, GiB"}


def run_machine(run_id: UUID) -> None:
    with show_errors():
        found = client().curves(MetricQuery(run_ids=[run_id], prefix=SYSTEM, points=300))
        if not found:
            empty(
                "Nothing was measured yet.",
                "While a run is at work, its worker looks at its processes and GPUs every few seconds.",
            )
            return
        columns = st.columns(2)
        for position, curve in enumerate(found):
            title, drawn = _title(curve.key), _in_gibibytes(curve)
            figure = curve_figure(title, [Line(title, drawn)], Look(x="time"), dark=is_dark())
            figure.update_yaxes(rangemode="tozero")
            last = drawn.values[-1]
            told = "" if last is None else f", last {number(last)}"
            columns[position % 2].plotly_chart(
                figure, key=f"machine-{curve.key}", config=CONFIG, alt=f"{title} over time{told}"
            )
        st.caption(
            "Of the run's process and all that it started. 100 % CPU is one core; memory that processes share "
            "counts in each."
        )


def _title(key: str) -> str:
    name = key.removeprefix(SYSTEM)
    if name.startswith("gpu") and "/" in name:
        gpu, _, what = name.partition("/")
        return f"GPU {gpu.removeprefix('gpu')} {GPU_TITLES.get(what, what)}"
    return TITLES.get(name, name)


def _in_gibibytes(curve: Curve) -> Curve:
    if not curve.key.endswith("_bytes"):
        return curve
    values = [None if value is None else value / 2**30 for value in curve.values]
    return curve.model_copy(update={"values": values})
