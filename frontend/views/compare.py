"""Compare: several runs side by side; the address names them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import streamlit as st

from frontend.charts.curves import curve_figure
from frontend.session import client, errors_as_sentences
from frontend.style import number
from vise_client.schemas import Curve, MetricQuery

MOST = 20


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """{dotted path: value} of every leaf."""
    if isinstance(value, dict):
        return {
            k: v for name, item in value.items() for k, v in flat(item, f"{path}.{name}".strip(".")).items()
        }
    return {path: value}


st.title("Compare")
with errors_as_sentences():
    listed = client().runs(kind="stage", all=True, limit=100).items
    titles = {str(r.id): f"{r.name} ({r.stage}, {r.created_at:%m-%d %H:%M})" for r in listed}
    asked = [r for r in st.query_params.get_all("run") if r]
    for missing in [r for r in asked if r not in titles]:
        titles[missing] = client().run(missing).name
    chosen = st.multiselect(
        "Runs", list(titles), default=asked, format_func=titles.__getitem__, max_selections=MOST
    )
    st.query_params.from_dict({"run": chosen})
    if len(chosen) < 2:
        st.info("Choose two runs or more, here or with the boxes on the page Runs.")
        st.stop()
    runs = [client().run(r) for r in chosen]
    names = [f"{run.name} {str(run.id)[-4:]}" for run in runs]
    specs = [flat(run.spec) for run in runs]
    paths = list(dict.fromkeys(path for spec in specs for path in spec))
    differing = [p for p in paths if len({str(spec.get(p)) for spec in specs}) > 1]
    st.subheader("What differs")
    if differing:
        st.dataframe(
            [
                {"field": p, **{n: str(s.get(p, "")) for n, s in zip(names, specs, strict=True)}}
                for p in differing
            ],
            hide_index=True,
        )
    else:
        st.write("Not one field of their specs.")
    st.subheader("Results")
    keys = list(dict.fromkeys(key for run in runs for key in run.headline))
    rows = [
        {
            "run": n,
            "state": r.state.value,
            **{k: number(r.headline[k]) if k in r.headline else "" for k in keys},
        }
        for n, r in zip(names, runs, strict=True)
    ]
    st.dataframe(rows, hide_index=True)
    if any(run.synthetic for run in runs):
        st.caption(
            ":violet-badge[:material/science: synthetic data] at least one of these runs is on generated data."
        )
    st.subheader("Curves")
    log = st.toggle("Log scale")
    found = client().curves(MetricQuery(run_ids=[UUID(c) for c in chosen], points=300))
    label = dict(zip(chosen, names, strict=True))
    by_key: dict[str, list[tuple[str, Curve]]] = {}
    for curve in found:
        by_key.setdefault(curve.key, []).append((label[str(curve.run_id)], curve))
    columns = st.columns(2)
    for position, (key, lines) in enumerate(sorted(by_key.items())):
        columns[position % 2].plotly_chart(
            curve_figure(key, lines, log=log), key=key, config={"displayModeBar": False}
        )
    if not by_key:
        st.info("These runs have no curves.")
