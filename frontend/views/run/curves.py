"""The curves of one run, live while it is."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts import marks
from frontend.charts.curves import CONFIG, Line, curve_figure, has_epochs
from frontend.charts.palette import is_dark
from frontend.components.curve_controls import by_prefix, look_controls, metric_controls
from frontend.components.layout import empty
from frontend.formatting import number
from frontend.session import client, show_errors
from vise_client.schemas.metrics import Curve, MetricQuery

POINTS = 400
AT_FIRST = 8
"""Charts that are drawn before anybody has chosen."""


def last_value(curve: Curve) -> str:
    """As text; NaN and inf by name."""
    if curve.marks and curve.marks[-1].step == curve.steps[-1]:
        return curve.marks[-1].value
    return "unknown" if curve.values[-1] is None else number(curve.values[-1])


def run_curves(run_id: UUID, keys: list[str]) -> None:
    """Controls and charts. ``keys``: the metrics that the run has so far."""
    if not keys:
        empty("No points yet.", "Curves are drawn as soon as the run reports its first numbers.")
        return
    chosen = metric_controls(keys, keys[:AT_FIRST])
    look = look_controls()
    if not chosen:
        st.info("Choose a metric above.")
        return
    with show_errors():
        found = {c.key: c for c in client().curves(MetricQuery(run_ids=[run_id], keys=chosen, points=POINTS))}
        if look.x == "epoch" and not has_epochs(list(found.values())):
            st.info("These metrics were told without epochs; choose steps or wall time.")
            return
        dark = is_dark()
        for prefix, group in by_prefix([key for key in chosen if key in found]).items():
            if prefix:
                st.header(prefix, anchor=False)
            columns = st.columns(2)
            for position, key in enumerate(group):
                curve = found[key]
                figure = curve_figure(key, [Line(key, curve)], look, dark=dark)
                told = f"last value {last_value(curve)}"
                columns[position % 2].plotly_chart(
                    figure,
                    key=f"curve-{key}",
                    config=CONFIG,
                    alt=f"{key} over {look.x}, {curve.total} points, {told}",
                )
        if told_of := marks.told_of_marks(list(found.values())):
            st.warning(
                f"Values that are not finite ({marks.LEGEND}), drawn at the height of the last finite one: "
                f"{'; '.join(told_of)}.",
                icon=":material/warning:",
            )
        if any(curve.total > len(curve.steps) for curve in found.values()):
            st.caption(
                f"Of long curves about {POINTS} points are drawn, always the same ones; minima and maxima are kept."
            )
