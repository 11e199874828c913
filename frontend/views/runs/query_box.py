"""The search box with completion for the query language."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from vise_client.schemas.run_lists import QueryField, Vocabulary

_HERE = Path(__file__).parent
_draw = st.components.v2.component(
    "vise_query_box",
    html=(_HERE / "query_box.html").read_text(),
    css=(_HERE / "query_box.css").read_text(),
    js=(_HERE / "query_box.js").read_text(),
)


def query_box(query: str, words: Vocabulary) -> str | None:
    """Draw the box with the query in it; returns a new query when somebody has asked one."""
    said = _draw(
        key="query-box",
        data={"query": query, "vocabulary": completion(words)},
        on_asked_change=_nothing,
    )
    asked = said.get("asked")
    return None if asked is None else str(asked)


def completion(words: Vocabulary) -> dict[str, object]:
    """What may stand where: names with help, operators of each, values of those that have few."""
    of_specs = ["=", "!=", "<", "<=", ">", ">=", "~", "!~", "in (", "not in ("]
    of_metrics = [o for o in of_specs if "~" not in o]
    names = [[f.name, f.help] for f in words.fields]
    names += [[f"metric.{key}", "metric"] for key in words.metrics]
    names += [[f"spec.{path}", help_] for path, help_ in words.specs.items()]
    operators = {f.name: _spaced(f) for f in words.fields if f.kind != "flag"}
    operators |= {f"metric.{key}": of_metrics for key in words.metrics}
    operators |= {f"spec.{path}": of_specs for path in words.specs}
    values = {f.name: f.choices for f in words.fields if f.choices} | {"tag": words.tags}
    return {"fields": names, "operators": operators, "values": values}


def _spaced(field: QueryField) -> list[str]:
    return [f"{o} (" if o in ("in", "not in") else o for o in field.operators]


def _nothing() -> None:
    """Streamlit gives a component's values to the script only where they have a callback."""
