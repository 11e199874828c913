"""The runs of a comparison: what they are called, how they are grouped, and the table of what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from frontend.charts.comparison import is_number
from frontend.formatting import value_text
from vise_client.schemas.comparison import Comparison
from vise_core.specs.stages import STAGES

AS_COLUMNS = 6
"""Up to so many runs stand beside each other, as columns; more are rows."""

REPLICATES = {path for stage in STAGES.values() for path in (*stage.replicates, *stage.repeats)}
"""Fields in which repetitions of one experiment differ."""

ALONE, REPEATED = "Each run by itself", "Repetitions: all but seed and splits"


def names(found: Comparison) -> list[str]:
    """A name for each run; the end of its id tells those of the same name apart."""
    return [f"{run.name} {str(run.id)[-4:]}" for run in found.runs]


def differing(found: Comparison) -> dict[str, list[Any]]:
    """{path: a value for each run} of the parameters that differ."""
    return {p.path: p.values for p in found.parameters if p.differs}


def group_options(found: Comparison) -> list[str]:
    return [ALONE, REPEATED, *differing(found)]


def group_names(found: Comparison, by: str) -> list[str]:
    """The group of each run, named by what makes it one. Evaluations of different data share none."""
    if by == ALONE:
        return names(found)
    columns = differing(found)
    if by == REPEATED:
        paths = [path for path in columns if path not in REPLICATES]
    else:
        paths = [by] if by in columns else []
    named = [
        ", ".join(f"{path.split('.')[-1]} {value_text(columns[path][i])}" for path in paths)[:120]
        or "all runs"
        for i in range(len(found.runs))
    ]
    several = len({run.data for run in found.runs if run.data}) > 1
    return [
        f"{name}, data {run.data[:8]}" if several and run.data else name
        for name, run in zip(named, found.runs, strict=True)
    ]


def table(found: Comparison, *, everything: bool) -> None:
    """Parameters and metrics; the parameters that differ, or all."""
    parameters = {p.path: p.values for p in found.parameters if p.differs or everything}
    if not differing(found):
        st.write("Not one field of their specs or inputs differs.")
    titles = names(found)
    state = {"state": [run.state.value for run in found.runs]}
    if len(titles) <= AS_COLUMNS:
        named = {key: _named(found, key) for key in found.metrics}
        columns: dict[str, Sequence[Any]] = {**state, **parameters, **named}
        rows = [
            {"field": path, **{n: _shown(v) for n, v in zip(titles, values, strict=True)}}
            for path, values in columns.items()
        ]
        st.dataframe(rows, hide_index=True, height="content" if len(rows) < 25 else 640)
        return
    wide = {
        "run": [f"run?run={run.id}#{title}" for run, title in zip(found.runs, titles, strict=True)],
        **state,
        **_not_finite(found),
        **found.metrics,
        **{path: _column(values) for path, values in parameters.items()},
    }
    link = st.column_config.LinkColumn("run", display_text=r"#(.*)$", pinned=True)
    st.dataframe(wide, hide_index=True, column_config={"run": link}, height=480)


def _named(found: Comparison, key: str) -> list[Any]:
    """The values of a metric, with NaN and inf by name."""
    return [found.not_finite.get(key, {}).get(i, value) for i, value in enumerate(found.metrics[key])]


def _not_finite(found: Comparison) -> dict[str, list[str]]:
    """A column that names what is NaN or inf in a run, where anything is: the metrics' own columns hold numbers."""
    told = [
        ", ".join(f"{key} {places[i]}" for key, places in found.not_finite.items() if i in places)
        for i in range(len(found.runs))
    ]
    return {"not finite": told} if any(told) else {}


def _column(values: Sequence[Any]) -> list[Any]:
    """Numbers stay numbers, so that the column sorts as numbers do."""
    if all(value is None or is_number(value) for value in values):
        return list(values)
    return ["" if value is None else value_text(value) for value in values]


def _shown(value: Any) -> str:
    return "" if value is None else value_text(value)
