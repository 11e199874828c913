"""The result of an evaluation: metrics over splits, the chosen points, the grid; and a form that registers a model."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.charts.grid import grid_figure
from frontend.components.figure import show_figure
from frontend.components.table import show_rows
from frontend.formatting import plain
from frontend.session import client, may_change, show_errors
from vise_client.schemas.accounts import Owned
from vise_client.schemas.models import ModelCreate
from vise_client.schemas.runs import RunView
from vise_core.specs.evaluation.setups import SETUPS
from vise_core.specs.integrity import CHECKS
from vise_core.specs.tasks.metrics import METRICS

FEATURES = {
    "cached": "features computed once and cached",
    "augmented": "images augmented in each epoch",
    "none": "no images",
}


def evaluate_result(run: RunView, result: dict[str, Any]) -> None:
    """Draw the numbers, the notes and the grid of an evaluation, and the form to register its predictor."""
    _numbers(result)
    _grid_notes(result["splits"])
    _grid(result)
    _register(run, result)


def _numbers(values: dict[str, Any]) -> None:
    setup = "" if values["setup"] == "image" else f", {SETUPS[values['setup']]}"
    st.write(
        f"**{plain(values['method'])}** on **{plain(values['task'])}**, {plain(values['protocol'])} protocol{setup}, {FEATURES[values['features']]}. "
        "Mean ± sample standard deviation (ddof 1) over splits."
    )
    data = values["data"]
    st.caption(
        f"{data['images']:,} images: data {data['labels_digest'][:8]}, splits {data['splits_digest'][:8]}. Only "
        "results with the same digests are compared in tables, figures and tests."
    )
    metric = METRICS[values["metric"]]
    unit = ", %" if metric.percent else ""
    shown = {metric.title + unit: values} | {
        METRICS[name].title + (", %" if METRICS[name].percent else ""): other
        for name, other in values["secondary"].items()
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
    show_rows(rows, hide_index=True)
    for check in (values.get("integrity") or {}).get("checks", []):
        sentence = f"**{CHECKS[check['name']]}**: {plain(check['sentence'])}"
        show = {"failed": st.error, "warning": st.warning}.get(check["verdict"])
        if show:
            show(sentence)
        elif check["verdict"] == "ok":
            st.caption(f":material/check: {sentence}")
    st.caption(
        "Selected by val. S_lr and S_wd: standard deviation (ddof 0) of val over learning rates and weight decays."
    )
    stopped = sum(p["stopped_at_epoch"] is not None for s in values["splits"] for p in s["grid"])
    if stopped:
        st.caption(
            f"Early stopping ended {stopped} points of the grid: the grid shows their value on val at that "
            "epoch, and they were not selected. S_lr and S_wd are empty where they would need one of these points."
        )


def _grid_notes(splits: list[dict[str, Any]]) -> None:
    """Warn of trainings that diverged, and of choices at the edge of the grid."""
    points = [point for split in splits for point in split["grid"]]
    diverged = [point for point in points if point["val"] is None]
    if diverged:
        rates = ", ".join(f"{rate:g}" for rate in sorted({point["base_lr"] for point in diverged}))
        st.warning(
            f"{len(diverged)} of {len(points)} trainings diverged (base LR {rates}): their loss or logits were not "
            "finite. They have no value on val or test and were not selected. S_lr and S_wd are empty where they would "
            "need one of these points.",
            icon=":material/warning:",
        )
    for parameter, title in (("base_lr", "base LR"), ("weight_decay", "weight decay")):
        for end, beyond in (("lowest", "lower"), ("highest", "higher")):
            at = [str(split["split"]) for split in splits if split["edges"].get(parameter) == end]
            if at:
                st.caption(
                    f":material/vertical_align_{'bottom' if end == 'lowest' else 'top'}: The selected {title} is the "
                    f"{end} of the grid in {len(at)} of {len(splits)} splits ({', '.join(at)}): a {beyond} value may be "
                    "better."
                )


def _grid(values: dict[str, Any]) -> None:
    metric = METRICS[values["metric"]]
    split = st.selectbox("Grid of split", range(len(values["splits"])))
    points = values["splits"][split]["grid"]
    lrs, wds = (list(dict.fromkeys(p[name] for p in points)) for name in ("base_lr", "weight_decay"))
    value = {(p["base_lr"], p["weight_decay"]): p["val"] for p in points}
    figure = grid_figure(
        lrs,
        wds,
        [[value[lr, wd] for wd in wds] for lr in lrs],
        title="val, %" if metric.percent else "val",
        digits=1 if metric.percent else 3,
    )
    show_figure(figure, key="grid")


def _register(run: RunView, result: dict[str, Any]) -> None:
    if not any(a.name == "predictor" for a in run.artifacts) or not may_change(Owned.run, run.id):
        return
    with st.form("register", border=True):
        st.write("Register the classifier as a model, to classify images on the page Predict.")
        name = st.text_input("Name", f"{result['method']} {str(run.id)[-4:]}")
        default = st.checkbox("Default model", True)
        if st.form_submit_button("Register"):
            with show_errors():
                client().register_model(ModelCreate(run_id=run.id, name=name, default=default))
                st.success("Registered. Select the model on the page Predict.")
