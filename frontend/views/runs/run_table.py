"""The run table: a component with sorting, selection, stars and groups that open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

FOLDER = Path(__file__).parent
_draw = st.components.v2.component(
    "vise_run_table",
    css=(FOLDER / "run_table.css").read_text(),
    js=(FOLDER / "run_table.js").read_text(),
)
LABELS = {"name": "Run", "user": "Started by", "tag": "Tags"}
"""Headings of columns that differ from the column's name."""
SORTED_RUNS = ("name", "status", "stage", "created", "started", "finished", "duration")
SORTED_GROUPS = ("created", "stage", "runs")
TO_SHOWN = {"state": "status", "-state": "-status"}
"""The order of the API → the order of the table: the column status is sorted by the state."""
TO_API = {shown: order for order, shown in TO_SHOWN.items()}


@dataclass(frozen=True)
class TableEvent:
    """The selection, and what the user did in the table since the last run of the script.

    ``sort``: the new order. ``toggled``: the key of a group that was opened or closed. ``followed``: the id of the run
    whose name was clicked. ``starred``: ``{"id", "starred"}``.
    """

    selected: tuple[str, ...]
    sort: str | None
    toggled: str | None
    followed: str | None
    starred: Mapping[str, Any] | None


def run_table(
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str],
    *,
    sort: str,
    grouped: bool,
    epoch: str,
    label: str,
) -> TableEvent:
    """Draw the rows. A new ``epoch`` clears the selection."""
    sorted_columns = SORTED_GROUPS if grouped else SORTED_RUNS
    data = {
        "rows": list(rows),
        "columns": [_column(column) for column in columns],
        "sort": TO_SHOWN.get(sort, sort),
        "sortable": [c for c in columns if c in sorted_columns or c.startswith(("spec.", "metric."))],
        "epoch": epoch,
        "label": label,
    }
    event = _draw(
        key="run-table",
        data=data,
        default={"selected": None},
        on_selected_change=_nothing,
        on_sort_change=_nothing,
        on_toggled_change=_nothing,
        on_followed_change=_nothing,
        on_starred_change=_nothing,
    )
    order, selected = event.get("sort"), event.get("selected")
    return TableEvent(
        selected=tuple(selected["keys"]) if selected and selected["epoch"] == epoch else (),
        sort=TO_API.get(order, order) if order else None,
        toggled=event.get("toggled"),
        followed=event.get("followed"),
        starred=event.get("starred"),
    )


def _column(name: str) -> dict[str, Any]:
    """Heading, alignment and tooltip of a column."""
    label, numeric, help = LABELS.get(name, name.capitalize()), False, ""
    if name.startswith("metric."):
        key, _, rule = name.removeprefix("metric.").partition(":")
        label, numeric = f"{key} · {rule}" if rule else key, True
        help = f"{key}: {rule or 'final: the number of the result, else the last value'}"
    elif name.startswith("spec."):
        label, help = name.removeprefix("spec."), f"{name}: a field of the run's spec"
    return {"key": name, "label": label, "numeric": numeric, "help": help}


def _nothing() -> None:
    """Streamlit returns a value of a component only if it has a callback."""
