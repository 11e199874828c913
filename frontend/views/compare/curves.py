"""The curves of all runs in one chart for each metric, or the mean and spread of groups."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts import marks
from frontend.charts.curves import CONFIG, Line, band_figure, curve_figure, has_epochs
from frontend.charts.palette import is_dark
from frontend.components.curve_controls import curve_options, metric_select
from frontend.components.figure import show_figure
from frontend.components.layout import empty
from frontend.formatting import plain
from frontend.session import client, show_errors
from frontend.views.compare.groups import UNGROUPED, group_names, run_names
from vise_client.schemas.comparison import Comparison
from vise_client.schemas.metrics import Curve, MetricQuery

POINTS_OF_CHART = 6_000
"""Points of one chart, shared by its lines; more are slow to draw and not distinguishable."""


def curves(comparison: Comparison, by: str) -> None:
    """Draw the curves of the runs by metric."""
    if not comparison.curves:
        empty("No curves", "These runs logged no curves. See the tab Differences, or select other runs.")
        return
    # The metrics that most runs have come first; of those, the loss.
    ordered = sorted(comparison.curves, key=lambda key: (-_n_runs(comparison, key), key != "loss", key))
    few = len(comparison.runs) <= 20
    selected = metric_select(comparison.curves, ordered[: 4 if few else 1])
    options = curve_options()
    if not selected:
        st.info("Select a metric.")
        return
    ids = [run.id for run in comparison.runs]
    points = max(40, min(400, POINTS_OF_CHART // len(ids)))
    with show_errors():
        loaded = client().curves(MetricQuery(run_ids=ids, keys=selected, points=points))
        if options.x == "epoch" and not has_epochs(loaded):
            st.info("These metrics were logged without epochs. Select the axis Step or Wall time.")
            return
        columns = st.columns(2) if len(selected) > 1 else [st.container()]
        for position, key in enumerate(selected):
            of_key = [curve for curve in loaded if curve.key == key]
            if by == UNGROUPED:
                lines = _lines(comparison, of_key)
                figure = curve_figure(key, lines, options, dark=is_dark(), height=360)
            else:
                groups = dict(zip(ids, group_names(comparison, by), strict=True))
                figure = band_figure(key, _grouped(of_key, groups), options, dark=is_dark(), height=360)
            with columns[position % len(columns)]:
                show_figure(
                    figure,
                    key=f"compare-{key}",
                    config=CONFIG,
                    alt=f"{key} of {len(of_key)} runs over {options.x}",
                )
        if sentences := marks.mark_sentences(loaded):
            st.caption(f"Values that are not finite ({marks.LEGEND}): {plain('; '.join(sentences))}.")
        if by != UNGROUPED:
            st.caption(
                "Lines are means and bands ± one standard deviation (ddof 1), over the range that all runs of the group "
                "cover; n is the number of runs. Runs with different steps are interpolated linearly."
            )


def _n_runs(comparison: Comparison, key: str) -> int:
    """The number of runs that have the metric, finite or not."""
    finite = sum(value is not None for value in comparison.metrics[key])
    return finite + len(comparison.not_finite.get(key, {}))


def _lines(comparison: Comparison, curves: list[Curve]) -> list[Line]:
    names = run_names(comparison)
    place = {run.id: position for position, run in enumerate(comparison.runs)}
    return [Line(names[place[c.run_id]], c, place[c.run_id]) for c in curves]


def _grouped(curves: list[Curve], groups: dict[UUID, str]) -> list[tuple[str, list[Curve]]]:
    members: dict[str, list[Curve]] = {name: [] for name in groups.values()}
    for curve in curves:
        members[groups[curve.run_id]].append(curve)
    return [(name, group) for name, group in members.items() if group]
