"""The result of a stage without a view of its own: its numbers, its warnings and its artifacts."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.components.table import show_rows
from frontend.formatting import plain, size
from vise_client.schemas.runs import RunView
from vise_core.specs.stages import STAGES


def default_result(run: RunView, result: dict[str, Any]) -> None:
    """Draw the numbers of a result, its texts, its counts by name, its warnings and a list of the artifacts."""
    fields = {name: value for name, value in result.items() if name not in ("provenance", "synthetic")}
    numbers = {name: value for name, value in fields.items() if _is_number(value)}
    with st.container(horizontal=True, gap="medium"):
        for name, value in numbers.items():
            text = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
            st.metric(plain(_title(name)), text, help=_help(run.stage or "", name), width="content")
    for warning in fields.get("warnings") or ():
        st.warning(plain(warning), icon=":material/warning:")
    texts = {name: value for name, value in fields.items() if isinstance(value, str) and value}
    if texts:
        show_rows([{"field": _title(name), "value": value} for name, value in texts.items()], hide_index=True)
    for name, counts in fields.items():
        if isinstance(counts, dict) and counts and all(map(_is_number, counts.values())):
            st.subheader(plain(_title(name).capitalize()), anchor=False)
            show_rows([{"name": key, "value": value} for key, value in counts.items()], hide_index=True)
    if run.artifacts:
        st.subheader("Artifacts", anchor=False)
        show_rows(
            [{"artifact": a.name, "files": a.files, "size": size(a.size)} for a in run.artifacts],
            hide_index=True,
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _title(field: str) -> str:
    return field.replace("_", " ")


def _help(stage: str, field: str) -> str | None:
    """The description of the field in the stage's result."""
    entry = STAGES.get(stage)
    known = entry.result.model_fields.get(field) if entry is not None else None
    return known.description if known is not None else None
