"""Curves of many runs over each other, or the mean and spread of groups of them."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts import marks
from frontend.charts.curves import CONFIG, Line, band_figure, curve_figure, has_epochs
from frontend.charts.palette import is_dark
from frontend.components.curve_controls import look_controls, metric_controls
from frontend.components.layout import empty
from frontend.session import client, show_errors
from frontend.views.compare.groups import ALONE, group_names, names
from vise_client.schemas.comparison import Comparison
from vise_client.schemas.metrics import Curve, MetricQuery

ALL_POINTS = 6_000
"""Of one chart, shared by its lines: more would be slower to draw than they could be told apart."""


def compare_curves(found: Comparison, by: str) -> None:
    if not found.curves:
        empty("These runs have no curves.", "Compare their results instead, or choose other runs.")
        return
    shared = sorted(
        found.curves,
        # Those that most runs have come first; the loss before others.
        key=lambda key: (-_having(found, key), key != "loss", key),
    )
    # Many lines need all the room that there is.
    chosen = metric_controls(found.curves, shared[: 4 if len(found.runs) <= 20 else 1])
    look = look_controls()
    if not chosen:
        st.info("Choose a metric above.")
        return
    points = max(40, min(400, ALL_POINTS // len(found.runs)))
    ids = [run.id for run in found.runs]
    with show_errors():
        curves = client().curves(MetricQuery(run_ids=ids, keys=chosen, points=points))
        if look.x == "epoch" and not has_epochs(curves):
            st.info("These metrics were told without epochs; choose steps or wall time.")
            return
        place = {run_id: position for position, run_id in enumerate(ids)}
        groups = dict(zip(ids, group_names(found, by), strict=True))
        columns = st.columns(2) if len(chosen) > 1 else [st.container()]
        for position, key in enumerate(chosen):
            mine = [curve for curve in curves if curve.key == key]
            if by == ALONE:
                titles = names(found)
                lines = [Line(titles[place[c.run_id]], c, place[c.run_id]) for c in mine]
                figure = curve_figure(key, lines, look, dark=is_dark(), height=360)
            else:
                figure = band_figure(key, _grouped(mine, groups), look, dark=is_dark(), height=360)
            columns[position % len(columns)].plotly_chart(
                figure, key=f"compare-{key}", config=CONFIG, alt=f"{key} of {len(mine)} runs over {look.x}"
            )
        if told_of := marks.told_of_marks(curves):
            st.caption(f"Values that are not finite ({marks.LEGEND}): {'; '.join(told_of)}.")
        if by != ALONE:
            st.caption(
                "Lines are means, bands ± one standard deviation (ddof 1), where every run of the group has points; "
                "n is the number of runs. Runs told at other steps are read between their points."
            )


def _having(found: Comparison, key: str) -> int:
    """Runs that have the metric, be its last value finite or not."""
    return sum(value is not None for value in found.metrics[key]) + len(found.not_finite.get(key, {}))


def _grouped(curves: list[Curve], groups: dict[UUID, str]) -> list[tuple[str, list[Curve]]]:
    made: dict[str, list[Curve]] = {name: [] for name in groups.values()}
    for curve in curves:
        made[groups[curve.run_id]].append(curve)
    return [(name, members) for name, members in made.items() if members]
