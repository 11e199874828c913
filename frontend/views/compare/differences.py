"""The table of differences: the parameters and metrics of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from frontend.charts.comparison import is_number
from frontend.components.table import show_rows
from frontend.formatting import value_text
from frontend.views.compare.groups import differing, run_names
from vise_client.schemas.comparison import Comparison

MOST_COLUMNS = 6
"""Runs up to which each run is a column; with more, each run is a row."""


def differences(comparison: Comparison) -> None:
    """Draw the table of parameters and metrics, by default only those that differ."""
    everything = st.toggle("All parameters", key="all", bind="query-params")
    if not differing(comparison):
        st.write("The specs and inputs of these runs are equal.")
    parameters = {p.path: p.values for p in comparison.parameters if p.differs or everything}
    if len(comparison.runs) <= MOST_COLUMNS:
        _runs_as_columns(comparison, parameters)
    else:
        _runs_as_rows(comparison, parameters)


def _runs_as_columns(comparison: Comparison, parameters: dict[str, list[Any]]) -> None:
    # NaN and inf by name, which the metrics' numbers leave out.
    metrics = {
        key: [comparison.not_finite.get(key, {}).get(i, value) for i, value in enumerate(values)]
        for key, values in comparison.metrics.items()
    }
    fields: dict[str, Sequence[Any]] = {**_states(comparison), **parameters, **metrics}
    names = run_names(comparison)
    rows = [
        {"field": path, **{name: _text(value) for name, value in zip(names, values, strict=True)}}
        for path, values in fields.items()
    ]
    show_rows(rows, hide_index=True, height="content" if len(rows) < 25 else 640)


def _runs_as_rows(comparison: Comparison, parameters: dict[str, list[Any]]) -> None:
    links = [
        f"run?run={run.id}#{name}" for run, name in zip(comparison.runs, run_names(comparison), strict=True)
    ]
    columns = {
        "run": links,
        **_states(comparison),
        **_not_finite(comparison),
        **comparison.metrics,
        **{path: _column(values) for path, values in parameters.items()},
    }
    link = st.column_config.LinkColumn("run", display_text=r"#(.*)$", pinned=True)
    show_rows(columns, hide_index=True, column_config={"run": link}, height=480)


def _states(comparison: Comparison) -> dict[str, list[Any]]:
    return {"state": [run.state.value for run in comparison.runs]}


def _not_finite(comparison: Comparison) -> dict[str, list[Any]]:
    """A column that names the metrics that are NaN or infinite, if any: the metrics' columns hold numbers only."""
    texts = [
        ", ".join(f"{key} {places[i]}" for key, places in comparison.not_finite.items() if i in places)
        for i in range(len(comparison.runs))
    ]
    return {"not finite": texts} if any(texts) else {}


def _column(values: Sequence[Any]) -> list[Any]:
    """Numbers stay numbers, so that the column sorts numerically."""
    if all(value is None or is_number(value) for value in values):
        return list(values)
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    return "" if value is None else value_text(value)
