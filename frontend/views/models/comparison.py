"""Models side by side: one column for each."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import link_to
from frontend.components.table import show_rows
from frontend.formatting import plain
from frontend.session import client
from vise_client.errors import ApiError
from vise_core.specs.reports.model_card import ModelFacts

MOST_COMPARED = 6


def model_comparison(ids: list[str]) -> None:
    """Draw the scores and facts of several models side by side."""
    link_to("models", "All models", icon=":material/arrow_back:")
    columns: dict[str, dict[str, str]] = {}
    for model_id in ids[:MOST_COMPARED]:
        try:
            facts = client().model_card(model_id).facts
        except ApiError:
            st.warning(f"There is no model {plain(model_id)}; it may have been deleted.")
            continue
        columns[facts.name] = _column(facts)
    fields = list(dict.fromkeys(field for column in columns.values() for field in column))
    rows = [{"": f, **{name: column.get(f, "–") for name, column in columns.items()}} for f in fields]
    show_rows(rows, hide_index=True)
    link_to("predict", "Classify images with these models", {"model": ids[:MOST_COMPARED]})


def _column(facts: ModelFacts) -> dict[str, str]:
    return {
        "method": facts.method,
        "task": facts.task,
        "backbone": f"{facts.backbone} ({facts.parameters / 1e6:.1f} M)",
        "protocol": f"{facts.protocol}, {facts.features}",
        **{metric.name: metric.sentence for metric in facts.metrics},
        "splits": str(facts.splits),
        "classes": str(len(facts.classes)),
        "data": "synthetic" if facts.synthetic else "real",
        "integrity checks": facts.integrity or "–",
        "licence of weights": facts.licence or "–",
    }
