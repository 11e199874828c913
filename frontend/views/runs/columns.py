"""The columns of the run list, and the control that selects them."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from frontend.formatting import plain
from vise_client.schemas.metrics import MetricRule
from vise_client.schemas.run_lists import RunListState, Vocabulary

ALWAYS = ("name", "status")
DEFAULT = ("stage", "created", "duration", "result")
DEFAULT_GROUPED = ("stage", "runs", "created")
OF_GROUPS = ("stage", "created", "tag", "runs")
"""Columns that groups have, beside those of metrics and specs."""
FIXED = (
    "stage", "created", "started", "finished", "duration", "result", "tag", "user", "runs", "queue", "worker",
    "attempt", "step", "notes", "group",
)  # fmt: skip
"""Columns that every run has, beside those of metrics and specs."""
RULES: tuple[str, ...] = get_args(MetricRule)


def shown_columns(state: RunListState, vocabulary: Vocabulary) -> list[str]:
    """Return the selected columns, or the default ones; name and status are always first."""
    selected = state.columns
    if not selected:
        selected = [*DEFAULT_GROUPED, *_usual_metrics(vocabulary)] if state.grouped else list(DEFAULT)
    if state.grouped:
        selected = [column for column in selected if column in OF_GROUPS or "." in column]
    return [*ALWAYS, *(column for column in selected if column not in ALWAYS)]


def column_select(state: RunListState, vocabulary: Vocabulary) -> RunListState:
    """Select columns, and for each metric the rule that reduces its curve to one number."""
    shown = [column for column in shown_columns(state, vocabulary) if column not in ALWAYS]
    rules = dict(_split(column) for column in shown)
    options = [
        *FIXED,
        *(f"metric.{key}" for key in vocabulary.metrics),
        *(f"spec.{p}" for p in vocabulary.specs),
    ]
    options += [column for column in rules if column not in options]
    selected = st.multiselect("Columns", options, default=list(rules), help="Type to search.")
    metrics = [column for column in selected if column.startswith("metric.")]
    if metrics:
        st.caption("The number that is shown of each metric's curve:")
    for metric in metrics:
        rules[metric] = st.selectbox(
            plain(metric.removeprefix("metric.")),
            RULES,
            index=RULES.index(rules.get(metric, "final")),
            format_func=lambda rule: f"{rule}: {vocabulary.rules[rule]}",
            key=f"rule-{metric}",
        )
    columns = [c if rules.get(c, "final") == "final" else f"{c}:{rules[c]}" for c in selected]
    return state if columns == shown else state.model_copy(update={"columns": columns})


def _usual_metrics(vocabulary: Vocabulary) -> list[str]:
    """The leading metrics of evaluations, as far as runs have them."""
    metrics = [f"{part}_{name}" for name in ("accuracy", "top1", "roc_auc") for part in ("test", "val")]
    return [f"metric.{key}" for key in metrics if key in vocabulary.metrics][:4]


def _split(column: str) -> tuple[str, str]:
    """``metric.loss:min`` → (metric.loss, min); the rule is ``final`` where the column names none."""
    name, colon, rule = column.rpartition(":")
    return (name, rule) if colon and rule in RULES else (column, "final")
