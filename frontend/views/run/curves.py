"""The metric curves of one run."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.charts import marks
from frontend.charts.curves import CONFIG, Line, curve_figure, has_epochs
from frontend.charts.palette import is_dark
from frontend.components.curve_controls import curve_options, metric_select
from frontend.components.figure import show_figure
from frontend.components.layout import empty
from frontend.formatting import number, plain
from frontend.session import client, show_errors
from vise_client.schemas.metrics import Curve, MetricQuery
from vise_client.schemas.runs import RunView

POINTS = 400
"""Points that are drawn of a curve."""
DEFAULT_CHARTS = 8


def run_curves(run: RunView) -> None:
    """Draw the controls, and a chart for each selected metric, grouped by the prefix of its name."""
    with show_errors():
        keys = list((run if run.state.final else client().run(run.id)).latest)
        if not keys:
            empty("No metrics yet", "Curves appear here when the run reports its first metrics.")
            return
        selected = metric_select(keys, keys[:DEFAULT_CHARTS])
        options = curve_options()
        if not selected:
            st.info("Select a metric.")
            return
        query = MetricQuery(run_ids=[run.id], keys=selected, points=POINTS)
        curves = {curve.key: curve for curve in client().curves(query)}
        if options.x == "epoch" and not has_epochs(list(curves.values())):
            st.info("These metrics were logged without epochs. Select the axis Step or Wall time.")
            return
        for prefix, group in _by_prefix([key for key in selected if key in curves]).items():
            if prefix:
                st.header(plain(prefix), anchor=False)
            columns = st.columns(2)
            for position, key in enumerate(group):
                curve = curves[key]
                last = f"last value {_last_value(curve)}"
                with columns[position % 2]:
                    show_figure(
                        curve_figure(key, [Line(key, curve)], options, dark=is_dark()),
                        key=f"curve-{key}",
                        config=CONFIG,
                        alt=f"{key} over {options.x}, {curve.total} points, {last}",
                    )
        _notes(list(curves.values()))


def _notes(curves: Sequence[Curve]) -> None:
    if sentences := marks.mark_sentences(curves):
        st.warning(
            f"Values that are not finite ({marks.LEGEND}), drawn at the height of the last finite value: "
            f"{plain('; '.join(sentences))}.",
            icon=":material/warning:",
        )
    if any(curve.total > len(curve.steps) for curve in curves):
        st.caption(f"Long curves are reduced to about {POINTS} points, which include minima and maxima.")


def _last_value(curve: Curve) -> str:
    """As text; NaN and inf by name."""
    if curve.marks and curve.marks[-1].step == curve.steps[-1]:
        return curve.marks[-1].value
    return "unknown" if curve.values[-1] is None else number(curve.values[-1])


def _by_prefix(keys: Sequence[str]) -> dict[str, list[str]]:
    """{the part of the name before the slash, or "": names}, sorted by prefix."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(key.partition("/")[0] if "/" in key else "", []).append(key)
    return dict(sorted(groups.items()))
