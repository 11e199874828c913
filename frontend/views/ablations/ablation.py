"""One ablation: its chart, its points, reference lines, and buttons that launch the missing points."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts.ablation_chart import ablation_chart
from frontend.charts.palette import STATIC, is_dark
from frontend.components.figure import show_figure
from frontend.components.layout import empty
from frontend.components.table import Cell, show_table
from frontend.formatting import plain
from frontend.session import can_edit, client, show_errors
from frontend.style import synthetic_badge
from frontend.views.ablations.references import reference_lines
from vise_client.schemas.ablations import AblationPoint, AblationView
from vise_client.schemas.run_states import RunState
from vise_core.specs.tasks.metrics import METRICS


def ablation(ablation_id: UUID) -> None:
    """Draw an ablation: its chart, its points with their runs, and its actions."""
    view = client().ablation(ablation_id)
    st.header(plain(view.name), anchor=False)
    st.markdown(
        f"{synthetic_badge(view.synthetic)} {plain(f'{view.title}: {view.task}, {view.protocol}, {view.method}')}; "
        f"[run of the baseline](run?run={view.baseline})".strip()
    )
    published = st.toggle(
        "Published lines",
        key="published",
        bind="query-params",
        help="The paper's own numbers on this task with ResNet-50, marked as published.",
    )
    lines = reference_lines(view, published=published)
    if all(point.mean is None for point in view.points):
        empty("No points yet", "Launch the points below. The chart fills as their runs succeed.")
    else:
        show_figure(
            ablation_chart(view, lines, dark=is_dark()),
            key="ablation-chart",
            config=STATIC,
            alt=f"{view.name}: {view.metric} over {view.axis}; the table below has the numbers",
        )
    st.subheader("Points", anchor=False)
    show_table(
        f"Points of {view.name}",
        [("score",), ("n",), ("state",)],
        [([_name(point)], _cells(view, point)) for point in view.points],
        [view.axis],
        ["mean ± sample standard deviation (ddof 1) over splits"],
    )
    for point in view.points:
        if point.note:
            st.caption(plain(f"{point.label}: {point.note}."))
    if lines:
        show_table(
            "Reference lines",
            [("score",)],
            [([line.title], [Cell(_score(view, line.value))]) for line in lines],
            ["Line"],
        )
    if can_edit():
        _launch_missing(view)
    if any(isinstance(point.state, RunState) and not point.state.final for point in view.points):
        st.caption("Points are running. The page updates when they end.")
        _refresh(ablation_id, [point.state for point in view.points])


def _launch_missing(view: AblationView) -> None:
    missing = [p for p in view.points if p.state in ("missing", RunState.failed, RunState.cancelled)]
    if not missing:
        return
    st.subheader("Missing points", anchor=False)
    with st.container(horizontal=True):
        for point in missing:
            key = f"launch-{point.number}"
            if st.button(f"Launch {plain(point.label)}", icon=":material/rocket_launch:", key=key):
                with show_errors():
                    client().launch_point(view.id, point.number)
                    st.rerun()


@st.fragment(run_every=5)
def _refresh(ablation_id: UUID, before: list[str]) -> None:
    """Draw the page again when the state of a point has changed."""
    with show_errors():
        if [point.state for point in client().ablation(ablation_id).points] != before:
            st.rerun()


def _name(point: AblationPoint) -> str:
    return f"{point.label} (baseline)" if point.baseline else point.label


def _score(view: AblationView, mean: float, std: float | None = None) -> str:
    digits = METRICS[view.metric].digits
    return f"{mean:.{digits}f}" + ("" if std is None else f" ± {std:.{digits}f}")


def _cells(view: AblationView, point: AblationPoint) -> list[Cell]:
    runs = (str(point.run),) if point.run else ()
    state = Cell(
        str(point.state), runs=() if point.mean is not None else runs, quiet=point.state == "missing"
    )
    if point.mean is None:
        return [Cell("not run", quiet=True), Cell("", quiet=True), state]
    letters = "[s]" if view.synthetic else ""
    return [Cell(_score(view, point.mean, point.std), letters, runs), Cell(str(point.n)), state]
