"""Ablations: a baseline and what one change at a time makes of it."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts.ablation_chart import Reference, ablation_chart
from frontend.charts.palette import is_dark
from frontend.components.layout import empty, page_title
from frontend.components.table import Cell, show_table
from frontend.formatting import plain
from frontend.session import can_edit, client, query_id, show_errors
from frontend.style import synthetic_badge
from vise_client.schemas.ablations import AblationCreate, AblationPoint, AblationView
from vise_client.schemas.run_states import RunState
from vise_core.report import OurFigure
from vise_core.specs.recipes.ablation_kinds import ABLATION_KINDS, Kind
from vise_core.specs.tasks.metrics import METRICS

# Levels that are drawn across: the paper's baselines and its two VisE lines (Figs. 3, 4).
REFERENCES = ("Random Init", "IN-Sup", "VisE-1.2M", "VisE-250M")


def new_ablation() -> None:
    """The form that saves one."""
    box = st.expander("New ablation", icon=":material/add:", key="new", on_change="rerun")
    if not box.open:
        return
    with box:
        baselines = [
            run
            for run in client().runs(stage="evaluate", state="succeeded", all=True, limit=200).items
            if run.headline
        ]
        if not baselines:
            st.write("It needs a baseline: an evaluation of a backbone that was pretrained here.")
            st.page_link("views/launch/page.py", label="Launch a recipe", icon=":material/rocket_launch:")
            return
        kind: Kind = st.selectbox(
            "What changes",
            list(ABLATION_KINDS),
            format_func=lambda name: ABLATION_KINDS[name].title,
            key="new-kind",
        )
        st.caption(ABLATION_KINDS[kind].help)
        baseline = st.selectbox(
            "Baseline",
            baselines,
            format_func=lambda run: f"{run.name}, {run.created_at:%Y-%m-%d %H:%M}",
            key="new-baseline",
            help="Everything but the one factor stays as it is in this evaluation and in what it comes from.",
        )
        name = st.text_input("Name", value=ABLATION_KINDS[kind].title, max_chars=120, key=f"new-name-{kind}")
        if st.button("Save the ablation", type="primary", disabled=not name.strip()):
            with show_errors():
                made = client().create_ablation(
                    AblationCreate(name=name.strip(), kind=kind, baseline=baseline.id)
                )
                st.query_params["ablation"] = str(made.id)
                st.rerun()


def references(view: AblationView, *, published: bool) -> list[Reference]:
    """Our own Random Init and IN-Sup on the same task and protocol; with ``published`` the paper's lines too."""
    figure = OurFigure.model_validate(
        client().report_data("figure3", task=view.task, protocol=view.protocol, synthetic=view.synthetic)
    )
    points = [point for panel in figure.panels for point in panel.points]
    comparable = [
        point
        for panel in figure.panels
        if view.recorded and panel.measured == view.measured
        for point in panel.points
    ]
    ours = [
        Reference(point.method, point.mean, False)
        for point in comparable
        if point.mean is not None and point.method in REFERENCES[:2] and point.backbone == view.backbone
    ]
    paper = [
        Reference(point.method, point.published, True)
        for point in points
        if published
        and point.published is not None
        and point.method in REFERENCES
        and point.backbone == "resnet50"
    ]
    if published and view.task == "Hateful Memes":
        # Fig. 6: the text encoder alone.
        figure = OurFigure.model_validate(client().report_data("figure6", protocol=view.protocol))
        paper += [
            Reference(point.method, point.published, True)
            for panel in figure.panels
            if panel.key.startswith("text")
            for point in panel.points
            if point.published is not None
        ]
    return ours + list(dict.fromkeys(paper))


def chart_and_table(ablation_id: UUID) -> None:
    view = client().ablation(ablation_id)
    st.header(view.name, anchor=False)
    st.markdown(
        f"{synthetic_badge(view.synthetic)} {view.title}: {view.task}, {view.protocol}, {view.method}; "
        f"[the baseline's run](run?run={view.baseline})".strip()
    )
    published = st.toggle(
        "Published lines",
        key="published",
        bind="query-params",
        help="The paper's own numbers on this task with ResNet-50, marked so.",
    )
    lines = references(view, published=published)
    if all(point.mean is None for point in view.points):
        empty("No point has been run yet.", "Launch the points below; the chart fills as they succeed.")
    else:
        st.plotly_chart(
            ablation_chart(view, lines, dark=is_dark()),
            key="ablation-chart",
            config={"displayModeBar": False},
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
            "Lines to compare with",
            [("score",)],
            [([line.title], [Cell(_score(view, line.value))]) for line in lines],
            ["Line"],
        )
    missing = [point for point in view.points if _can_launch(point)]
    if missing and can_edit():
        launch_buttons(view, missing)
    if any(_live(point) for point in view.points):
        st.caption("Points are being made.")
        _refresh(ablation_id, [point.state for point in view.points])


def launch_buttons(view: AblationView, missing: list[AblationPoint]) -> None:
    st.subheader("Missing points", anchor=False)
    with st.container(horizontal=True):
        for point in missing:
            if st.button(
                f"Launch it: {point.label}", icon=":material/rocket_launch:", key=f"launch-{point.number}"
            ):
                with show_errors():
                    client().launch_point(view.id, point.number)
                    st.rerun()


@st.fragment(run_every=5)
def _refresh(ablation_id: UUID, before: list[str]) -> None:
    """Load the page anew once the state of a point has changed."""
    with show_errors():
        if [point.state for point in client().ablation(ablation_id).points] != before:
            st.rerun()


def _can_launch(point: AblationPoint) -> bool:
    return point.state in ("missing", RunState.failed, RunState.cancelled)


def _live(point: AblationPoint) -> bool:
    return isinstance(point.state, RunState) and not point.state.final


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


page_title("Ablations", "A baseline, and what one change at a time makes of it.")
with show_errors():
    saved = {str(one.id): one for one in client().ablations()}
    if saved:
        asked = query_id("ablation")
        ids = list(saved)
        chosen = st.selectbox(
            "Ablation",
            ids,
            index=ids.index(str(asked)) if str(asked) in saved else 0,
            format_func=lambda one: f"{saved[one].name} ({ABLATION_KINDS[saved[one].kind].title})",
        )
        st.query_params["ablation"] = chosen
        chart_and_table(UUID(chosen))
    else:
        empty(
            "No ablation is saved yet.",
            "Choose a finished evaluation as the baseline and what is to change about it, below. What was run already is "
            "found by itself; what is missing can be launched from here.",
        )
    if can_edit():
        new_ablation()
