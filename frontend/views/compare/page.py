"""Compare: up to 100 runs side by side; the address names them, or says which to look for."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts.comparison import parallel_figure, scatter_figure
from frontend.charts.curves import CONFIG
from frontend.charts.palette import is_dark
from frontend.components.layout import empty, page_title
from frontend.formatting import plain
from frontend.session import client, show_errors
from frontend.style import synthetic_badge
from frontend.views.compare.curves import compare_curves
from frontend.views.compare.groups import differing, group_names, group_options, names, table
from vise_client.schemas.comparison import CompareQuery, Comparison

MOST = 100
# Axes of parallel coordinates before anybody has chosen.
WIDE = 8


def asked() -> list[UUID]:
    """The runs that the address names, or the first that its query, as on the page Runs, finds."""
    if query := st.query_params.get("query"):
        return [run.id for run in client().runs(query=query, kind="stage", all=True, limit=MOST).items]
    found = []
    for text in st.query_params.get_all("run"):
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return list(dict.fromkeys(found))[:MOST]


def choose(chosen: list[UUID]) -> None:
    """Add runs to the comparison or take some out; the address follows."""
    label = f"{len(chosen)} runs" if chosen else "Choose runs"
    box = st.expander(
        label, expanded=len(chosen) < 2, icon=":material/checklist:", key="choosing", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        search = st.text_input("Search runs", key="find", bind="query-params", placeholder="name or tag")
        listed = client().runs(kind="stage", all=True, limit=MOST, search=search).items
        titles = {r.id: f"{r.name} ({r.stage}, {r.created_at:%m-%d %H:%M}, {str(r.id)[-4:]})" for r in listed}
        for run_id in chosen:
            titles.setdefault(run_id, f"run …{str(run_id)[-4:]}")
        now = st.multiselect(
            "Runs",
            list(titles),
            default=chosen,
            format_func=lambda run_id: titles[run_id],
            max_selections=MOST,
            key=f"runs-{hash((tuple(chosen), search))}",
        )
        if now != chosen:
            for name in ("run", "query"):
                st.query_params.pop(name, None)
            st.query_params["run"] = [str(run_id) for run_id in now]
            st.rerun()


def target_metric(found: Comparison) -> str | None:
    """The metric that the page's second half is about."""
    if not found.metrics:
        empty("These runs have no metrics yet.", "Come back when they have told some numbers.")
        return None
    target = st.selectbox("Metric", list(found.metrics), key="target", bind="query-params", width=360)
    left_out(found, target)
    return target


def left_out(found: Comparison, metric: str | None) -> None:
    """Name the runs that a chart of a metric cannot show, since what they have of it is NaN or infinite."""
    places = found.not_finite.get(metric or "", {})
    if places:
        titles = names(found)
        told = ", ".join(f"{titles[place]} ({value})" for place, value in sorted(places.items()))
        st.caption(f":material/warning: Left out, since their {metric} is not finite: {plain(told)}.")


def scatter(found: Comparison, by: str) -> None:
    target = target_metric(found)
    columns = {**differing(found), **{k: v for k, v in found.metrics.items() if k != target}}
    if target is None or not columns:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.selectbox("Against", list(columns), key="against", bind="query-params", width=320)
        log_x = st.toggle("Log x", key="logx", bind="query-params")
    left_out(found, x)
    figure = scatter_figure(
        (x, columns[x]),
        (target, found.metrics[target]),
        names(found),
        group_names(found, by) if by in differing(found) else [""] * len(found.runs),
        log_x=log_x,
        dark=is_dark(),
    )
    st.plotly_chart(figure, key="scatter", config=CONFIG, alt=f"{target} of each run against {x}")


def parallel(found: Comparison) -> None:
    target = target_metric(found)
    columns = differing(found)
    if target is None or not columns:
        st.info("Their parameters do not differ.")
        return
    chosen = st.multiselect(
        "Parameters", list(columns), default=list(columns)[:WIDE], key="axes", bind="query-params"
    )
    if sum(v is not None for v in found.metrics[target]) < 2 or not chosen:
        st.info("At least two runs with this metric, and one parameter, make a picture.")
        return
    figure = parallel_figure(
        {path: columns[path] for path in chosen}, (target, found.metrics[target]), dark=is_dark()
    )
    with st.container(key="wide-parallel"):
        st.plotly_chart(
            figure,
            key="parallel",
            config=CONFIG,
            width=max(640, 140 * (len(chosen) + 1)),
            alt=f"Each run a line over {', '.join(chosen)} to {target}; the tab Differences has the same numbers",
        )
    st.caption("Drag along an axis to keep only the runs that pass through; drag a name to move its axis.")


def importance(found: Comparison) -> None:
    target = target_metric(found)
    if target is None:
        return
    answer = client().compare(CompareQuery(run_ids=[run.id for run in found.runs], metric=target))
    told = answer.importance
    if left_out := len(found.runs) - len(answer.importance_over):
        st.info(f"{left_out} of these runs are left out: they were measured on other data or splits.")
    if not told:
        st.info("Nothing to say: no parameter differs between runs that have this metric.")
        return
    st.dataframe(
        {
            "parameter": [each.path for each in told],
            "rank correlation ρ": [each.rank_correlation for each in told],
            "variance share ε²": [each.variance_share for each in told],
            "runs": [each.runs for each in told],
        },
        hide_index=True,
        column_config={
            "rank correlation ρ": st.column_config.NumberColumn(format="%+.2f"),
            "variance share ε²": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1),
        },
    )
    st.caption(
        "**ρ** is Spearman's rank correlation, for parameters that are numbers: +1 where the metric always rises with "
        "the parameter, −1 where it always falls. **ε²** is the share of the metric's variance that lies between "
        "groups of equal value, corrected for the number of groups (a one-way analysis of variance; numbers of many "
        "values are cut into quarters). Both say what goes together in these runs, not what causes what."
    )
    if len(found.runs) < 10:
        st.warning("With fewer than ten runs these numbers say little.")


def page() -> None:
    page_title("Compare", "Runs side by side: what differs between them, and what came of it.")
    with show_errors():
        chosen = asked()
        choose(chosen)
        if len(chosen) < 2:
            empty(
                "Nothing to compare yet.", "Choose two runs or more, here or on the page Runs.", page="runs"
            )
            return
        found = client().compare(CompareQuery(run_ids=chosen))
        if found.missing:
            st.warning(f"{len(found.missing)} of these runs are not there any more.")
        if any(run.synthetic for run in found.runs):
            st.markdown(f"{synthetic_badge(True)} :gray[at least one of these runs is on generated data]")
        if found.not_compared:
            st.warning(
                "Not all of these evaluations were measured on the same data and splits; their numbers do not compare.  \n"
                + "  \n".join(plain(reason) for reason in found.not_compared)
            )
        if len(found.runs) < 2:
            return
        by = st.selectbox("Group by", group_options(found), key="by", bind="query-params", width=360)
        parts = {
            "Differences": lambda: table(
                found, everything=st.toggle("All parameters", key="all", bind="query-params")
            ),
            "Curves": lambda: compare_curves(found, by),
            "Scatter": lambda: scatter(found, by),
            "Parallel": lambda: parallel(found),
            "Importance": lambda: importance(found),
        }
        # Not "tab": the session would open here what was open on the page of a run.
        for name, tab in zip(parts, st.tabs(list(parts), key="part", bind="query-params"), strict=True):
            if tab.open:
                with tab:
                    parts[name]()


page()
