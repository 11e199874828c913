"""One run: what it does, its curves, its log, what it was made of and what it made."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from typing import Any

import streamlit as st
import yaml

from frontend.charts.curves import curve_figure, grid_figure
from frontend.components.run_rows import progress_bar, run_rows
from frontend.session import client, errors_as_sentences, may_edit, query_id
from frontend.style import badge, number, status_sentence, synthetic_badge
from vise_client.schemas import ArtifactView, Curve, MetricQuery, ModelCreate, RunClone, RunState, RunView
from vise_core.specs.integrity import CHECKS
from vise_core.specs.tasks import METRICS

asked_id = query_id("run")
run_id = str(asked_id)


@st.fragment(run_every=2)
def head() -> None:
    with errors_as_sentences():
        run = client().run(run_id)
        st.title(run.name)
        st.markdown(f"{badge(run.state)}{synthetic_badge(run.synthetic)} :gray[{run.stage or run.kind}]")
        sentence = status_sentence(run)
        if run.state is RunState.failed:
            st.error(run.reason or "It failed.")
            if run.error:
                with st.expander("End of the traceback"):
                    st.code(run.error)
        elif sentence:
            st.caption(sentence)
        progress_bar(run)
        if may_edit(st.session_state["user"]):
            actions(run)
        if run.headline:
            columns = st.columns(min(4, len(run.headline)))
            for column, (key, value) in zip(columns * 4, run.headline.items(), strict=False):
                column.metric(key.replace("_", " "), number(value))
        if run.children:
            st.subheader("Steps")
            run_rows(run.children, mark=False)


def actions(run: RunView) -> None:
    columns = st.columns([1, 1, 4])
    if not run.state.final and columns[0].button("Cancel", icon=":material/stop:"):
        client().cancel(run.id)
        st.rerun(scope="fragment")
    if run.state in (RunState.failed, RunState.cancelled) and columns[0].button(
        "Retry", icon=":material/replay:"
    ):
        client().retry(run.id)
        st.rerun(scope="fragment")
    if columns[1].button("Clone", icon=":material/content_copy:"):
        made = client().clone(run.id, RunClone())
        st.query_params["run"] = str(made.id)
        st.rerun()


@st.fragment(run_every=4)
def curves() -> None:
    left, right = st.columns([1, 3])
    log = left.toggle("Log scale", key="log")
    smoothing = right.slider("Smoothing", 0.0, 0.98, 0.0, 0.02, key="smoothing")
    with errors_as_sentences():
        found = client().curves(MetricQuery(run_ids=[asked_id], points=400))
        show_curves([("", curve) for curve in found], log=log, smoothing=smoothing)
        if not found:
            st.info("No points yet.")


def show_curves(curves: list[tuple[str, Curve]], *, log: bool, smoothing: float) -> None:
    by_key: dict[str, list[tuple[str, Curve]]] = defaultdict(list)
    for name, curve in curves:
        by_key[curve.key].append((name, curve))
    columns = st.columns(2)
    for position, (key, lines) in enumerate(sorted(by_key.items())):
        figure = curve_figure(key, lines, log=log, smoothing=smoothing)
        columns[position % 2].plotly_chart(figure, key=f"curve-{key}", config={"displayModeBar": False})


@st.fragment(run_every=3)
def logs() -> None:
    with errors_as_sentences():
        lines = client().logs(run_id, after=-1, limit=300)
        text = "\n".join(f"{line.at:%H:%M:%S} {line.level:7} {line.message}" for line in lines)
        st.code(text or "Nothing was logged yet.", language="log", height=360)


def result(run: RunView) -> None:
    if run.result is None:
        st.info("The result comes when the run has succeeded.")
        return
    if run.stage == "evaluate":
        evaluation(run.result)
        register(run)
    if run.stage == "cluster":
        clusters(run)
    if run.stage == "explain":
        gallery(run)
    if run.stage == "ingest":
        refusals(run.result["refusals"])
    with st.expander("The whole result"):
        st.json(run.result, expanded=1)


def evaluation(values: dict[str, Any]) -> None:
    kept = (
        "features computed once and kept"
        if values["features"] == "cached"
        else "images augmented anew each epoch"
    )
    setup = "" if values.get("setup", "image") == "image" else f", {values['setup']}"
    st.write(
        f"**{values['method']}** on **{values['task']}**, {values['protocol']} protocol{setup}, {kept}. "
        "Mean ± sample standard deviation (ddof 1) over splits."
    )
    metric = METRICS[values["metric"]]
    unit = ", %" if metric.percent else ""
    shown = {metric.title + unit: values} | {
        METRICS[name].title + (", %" if METRICS[name].percent else ""): other
        for name, other in values.get("secondary", {}).items()
    }
    columns = st.columns(3)
    for title, numbers in shown.items():
        digits = 2 if title.endswith("%") else 4
        for column, part in zip(columns, ("test", "val"), strict=False):
            if numbers[f"{part}_mean"] is not None:
                std = numbers[f"{part}_std"]
                spread = "" if std is None else f" ± {std:.{digits}f}"
                column.metric(f"{part} {title}", f"{numbers[f'{part}_mean']:.{digits}f}{spread}")
    columns[2].metric("splits", len(values["splits"]))
    digits = metric.digits
    rows = [
        {
            "split": s["split"],
            "base LR": f"{s['chosen']['base_lr']:g}",
            "WD": f"{s['chosen']['weight_decay']:g}",
            f"val{unit}": round(s["chosen"]["val"], digits),
            f"test{unit}": None if s["chosen"]["test"] is None else round(s["chosen"]["test"], digits),
            "S_lr": round(s["s_lr"], digits),
            "S_wd": round(s["s_wd"], digits),
        }
        for s in values["splits"]
    ]
    st.dataframe(rows, hide_index=True)
    for check in (values.get("integrity") or {}).get("checks", []):
        told = f"**{CHECKS[check['name']]}**: {check['sentence']}"
        show = {"failed": st.error, "warning": st.warning}.get(check["verdict"])
        if show:
            show(told)
        elif check["verdict"] == "ok":
            st.caption(f":material/check: {told}")
    st.caption(
        "Chosen on val. S_lr and S_wd: standard deviation (ddof 0) of val over learning rates and weight decays."
    )
    split = st.selectbox("Grid of split", range(len(values["splits"])))
    points = values["splits"][split]["grid"]
    lrs, wds = (list(dict.fromkeys(p[name] for p in points)) for name in ("base_lr", "weight_decay"))
    value = {(p["base_lr"], p["weight_decay"]): p["val"] for p in points}
    st.plotly_chart(grid_figure(lrs, wds, [[value[lr, wd] for wd in wds] for lr in lrs]), key="grid")


def register(run: RunView) -> None:
    if not may_edit(st.session_state["user"]) or not any(a.name == "predictor" for a in run.artifacts):
        return
    with st.form("register", border=True):
        st.write("Make a model of it, to ask about images.")
        name = st.text_input("Name", f"{run.result['method'] if run.result else run.name} {str(run.id)[-4:]}")
        default = st.checkbox("Default model", True)
        if st.form_submit_button("Register"):
            with errors_as_sentences():
                client().register_model(ModelCreate(run_id=run.id, name=name, default=default))
                st.success("Registered. It answers on the page Predict.")


def clusters(run: RunView) -> None:
    inspection = next((a for a in run.artifacts if a.name == "inspection"), None)
    if inspection is None:
        return
    found = json.loads(client().artifact_content(inspection.id))
    if found["comments"]:
        st.write("**Comment clusters**, largest first")
        rows = [
            {
                "cluster": c["cluster"],
                "comments": c["size"],
                "top terms": "  ".join(term for term, _ in c["terms"][:7]),
                "nearest comments": " · ".join(c["comments"][:3]),
            }
            for c in sorted(found["comments"], key=lambda c: -c["size"])
        ]
        st.dataframe(rows, hide_index=True, height=380)
    if found["reactions"]:
        st.write("**Reaction clusters**: mean share of each reaction")
        rows = [
            {"cluster": c["cluster"], "posts": c["size"], **c["reactions"]}
            for c in sorted(found["reactions"], key=lambda c: -c["size"])
        ]
        st.dataframe(rows, hide_index=True)


def gallery(run: RunView) -> None:
    overlays = next((a for a in run.artifacts if a.name == "overlays"), None)
    if overlays is None:
        return
    files = [f for f in client().artifact_files(overlays.id) if f.path.endswith(".png")][:24]
    columns = st.columns(4)
    for position, file in enumerate(files):
        columns[position % 4].image(client().artifact_content(overlays.id, file.path), caption=file.path)


def refusals(counts: dict[str, dict[str, int]]) -> None:
    rows = [{"what": kind, "reason": r, "posts": n} for kind in counts for r, n in counts[kind].items()]
    if rows:
        st.dataframe(rows, hide_index=True)
    else:
        st.success("Not one post had to be refused or repaired.")


def artifacts(found: list[ArtifactView]) -> None:
    if not found:
        st.info("No artifacts yet.")
    for artifact in found:
        name, action = st.columns([3, 1], vertical_alignment="center")
        files = f"{artifact.files} files" if artifact.folder else "1 file"
        name.markdown(
            f"**{artifact.name}** :gray[{files}, {artifact.size / 2**20:.1f} MiB]  \n`{artifact.sha256[:16]}…`"
        )
        suffix = ".tar" if artifact.folder else ""
        action.download_button(
            "Download",
            partial(client().artifact_content, artifact.id),
            file_name=f"{artifact.name}{suffix}",
            key=f"download-{artifact.id}",
        )


if asked_id is None:
    st.title("Run")
    st.info("Choose a run on the page Runs.")
    st.page_link("views/runs.py", label="Runs", icon=":material/list:")
else:
    with errors_as_sentences():
        whole = client().run(run_id)
        head()
        names = ["Curves", "Result", "Log", "Spec", "Artifacts", "Events"]
        if whole.kind != "stage":
            names = ["Spec", "Events"]
        for name, tab in zip(names, st.tabs(names), strict=True):
            with tab:
                if name == "Curves":
                    curves()
                elif name == "Result":
                    result(whole)
                elif name == "Log":
                    logs()
                elif name == "Spec":
                    st.code(yaml.safe_dump(whole.spec, sort_keys=False, allow_unicode=True), language="yaml")
                    for role, ref in whole.inputs.items():
                        if ref.run:
                            label = f"Input **{role}**: {ref.artifact}"
                            st.page_link("views/run.py", label=label, query_params={"run": str(ref.run)})
                        else:
                            st.markdown(f"Input **{role}**: data set {ref.dataset}")
                    if whole.result and whole.result.get("provenance"):
                        st.write("**Provenance**")
                        st.json(whole.result["provenance"])
                elif name == "Artifacts":
                    artifacts(whole.artifacts)
                else:
                    rows = [
                        {"at": e.at, "from": e.from_state, "to": e.to_state, "detail": e.detail}
                        for e in client().events(run_id)
                    ]
                    st.dataframe(rows, hide_index=True)
