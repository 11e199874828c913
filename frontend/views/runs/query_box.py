"""The search box of the run list, with completion for the query language."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from vise_client.schemas.run_lists import QueryField, Vocabulary

FOLDER = Path(__file__).parent
_draw = st.components.v2.component(
    "vise_query_box",
    html=(FOLDER / "query_box.html").read_text(),
    css=(FOLDER / "query_box.css").read_text(),
    js=(FOLDER / "query_box.js").read_text(),
)


def query_box(query: str, vocabulary: Vocabulary) -> str | None:
    """Draw the box with the query in it; returns the query that the user submitted, else None."""
    event = _draw(
        key="query-box",
        data={"query": query, "vocabulary": _completions(vocabulary)},
        on_submitted_change=_nothing,
    )
    submitted = event.get("submitted")
    return None if submitted is None else str(submitted)


def _completions(vocabulary: Vocabulary) -> dict[str, object]:
    """Names of fields with help, the operators of each field, and the values of fields that have few."""
    of_specs = ["=", "!=", "<", "<=", ">", ">=", "~", "!~", "in (", "not in ("]
    of_metrics = [operator for operator in of_specs if "~" not in operator]
    names = [[field.name, field.help] for field in vocabulary.fields]
    names += [[f"metric.{key}", "metric"] for key in vocabulary.metrics]
    names += [[f"spec.{path}", help] for path, help in vocabulary.specs.items()]
    operators = {field.name: _with_bracket(field) for field in vocabulary.fields if field.kind != "flag"}
    operators |= {f"metric.{key}": of_metrics for key in vocabulary.metrics}
    operators |= {f"spec.{path}": of_specs for path in vocabulary.specs}
    values = {field.name: field.choices for field in vocabulary.fields if field.choices}
    return {"fields": names, "operators": operators, "values": values | {"tag": vocabulary.tags}}


def _with_bracket(field: QueryField) -> list[str]:
    return [f"{o} (" if o in ("in", "not in") else o for o in field.operators]


def _nothing() -> None:
    """Streamlit returns a value of a component only if it has a callback."""
