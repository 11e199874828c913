"""What a run found: the numbers of an evaluation, clusters, overlays, refusals; and making a model of it."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from frontend.charts.grid import grid_figure
from frontend.components.layout import empty
from frontend.session import can_edit, client, show_errors
from frontend.views.run.ingest import run_ingest
from frontend.views.run.integrity import run_integrity
from vise_client.schemas.models import ModelCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.evaluate import SETUPS
from vise_core.specs.integrity import CHECKS
from vise_core.specs.tasks import METRICS


def run_result(run: RunView) -> None:
    """The result as its stage is best read, and whole."""
    if run.result is None:
        empty("No result yet.", "It comes when the run has succeeded.")
        return
    if run.stage == "evaluate":
        evaluation(run.result)
        register(run)
    if run.stage == "cluster":
        clusters(run)
    if run.stage == "explain":
        gallery(run)
    if run.stage == "qualitative":
        drawing(run)
    if run.stage == "ingest":
        run_ingest(run)
    if run.stage == "integrity":
        run_integrity(run)
    with st.expander("The whole result"):
        st.json(run.result, expanded=1)


def evaluation(values: dict[str, Any]) -> None:
    kept = {
        "cached": "features computed once and kept",
        "augmented": "images augmented anew each epoch",
        "none": "no images",
    }[values["features"]]
    setup = "" if values.get("setup", "image") == "image" else f", {SETUPS[values['setup']]}"
    st.write(
        f"**{values['method']}** on **{values['task']}**, {values['protocol']} protocol{setup}, {kept}. "
        "Mean ± sample standard deviation (ddof 1) over splits."
    )
    if data := values.get("data"):
        st.caption(
            f"{data['images']:,} images: data {data['labels_digest'][:8]}, splits {data['splits_digest'][:8]}. Only "
            "results with the same digests are compared in tables, figures and tests."
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
            "S_lr": None if s["s_lr"] is None else round(s["s_lr"], digits),
            "S_wd": None if s["s_wd"] is None else round(s["s_wd"], digits),
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
    stopped = sum(p.get("stopped_at_epoch") is not None for s in values["splits"] for p in s["grid"])
    if stopped:
        st.caption(
            f"Early stopping ended {stopped} points of the grid: they show what they had on val then, and were not "
            "chosen. S_lr and S_wd are empty where they would need one of them."
        )
    grid_notes(values["splits"])
    split = st.selectbox("Grid of split", range(len(values["splits"])))
    points = values["splits"][split]["grid"]
    lrs, wds = (list(dict.fromkeys(p[name] for p in points)) for name in ("base_lr", "weight_decay"))
    value = {(p["base_lr"], p["weight_decay"]): p["val"] for p in points}
    figure = grid_figure(
        lrs,
        wds,
        [[value[lr, wd] for wd in wds] for lr in lrs],
        title=f"val{unit}",
        digits=1 if metric.percent else 3,
    )
    st.plotly_chart(figure, key="grid")


def grid_notes(splits: list[dict[str, Any]]) -> None:
    """Warn of trainings that diverged, and of choices at the edge of the grid."""
    points = [point for split in splits for point in split["grid"]]
    diverged = [point for point in points if point["val"] is None]
    if diverged:
        rates = ", ".join(f"{rate:g}" for rate in sorted({point["base_lr"] for point in diverged}))
        st.warning(
            f"{len(diverged)} of {len(points)} trainings diverged (base LR {rates}): their loss or logits were not "
            "finite. They have no value on val or test and were not chosen. S_lr and S_wd are empty where they would "
            "need one of them.",
            icon=":material/warning:",
        )
    for parameter, title in (("base_lr", "base LR"), ("weight_decay", "weight decay")):
        for end, beyond in (("lowest", "lower"), ("highest", "higher")):
            at = [str(split["split"]) for split in splits if split.get("edges", {}).get(parameter) == end]
            if at:
                st.caption(
                    f":material/vertical_align_{'bottom' if end == 'lowest' else 'top'}: The chosen {title} is the "
                    f"{end} of the grid in {len(at)} of {len(splits)} splits ({', '.join(at)}): a {beyond} one may be "
                    "better."
                )


def register(run: RunView) -> None:
    if not can_edit() or not any(a.name == "predictor" for a in run.artifacts):
        return
    with st.form("register", border=True):
        st.write("Make a model of it, to ask about images.")
        name = st.text_input("Name", f"{run.result['method'] if run.result else run.name} {str(run.id)[-4:]}")
        default = st.checkbox("Default model", True)
        if st.form_submit_button("Register"):
            with show_errors():
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


def drawing(run: RunView) -> None:
    """Predictions of several models on the same images, as the paper draws them."""
    figure = next((a for a in run.artifacts if a.name == "figure"), None)
    if figure is not None:
        for file in client().artifact_files(figure.id):
            if file.path.endswith(".png"):
                st.image(
                    client().artifact_content(figure.id, file.path),
                    caption=file.path,
                    alt=file.path,
                    width="stretch",
                )
