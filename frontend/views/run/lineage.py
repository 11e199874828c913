"""The lineage of a run: what it was made from and what was made from it, as a drawing and as a list."""

from __future__ import annotations

import streamlit as st

from frontend.charts.lineage import describe, drawing
from frontend.components.layout import empty, link_to
from frontend.formatting import plain
from frontend.session import client, show_errors
from vise_client.schemas.lineage import Lineage, LineageNode
from vise_client.schemas.runs import RunView

PAGES = {"run": ("run", "run"), "dataset": ("data", "dataset"), "model": ("models", "model")}
"""Kind of a node → its page, and the parameter with the node's id."""


def run_lineage(run: RunView) -> None:
    """Draw the lineage of a run."""
    with show_errors():
        lineage = client().lineage(run.id)
        if len(lineage.nodes) < 2:
            empty(
                "No lineage yet",
                "This run reads no artifact or data set, and no run reads its artifacts yet. Such runs appear here.",
            )
            return
        st.caption(
            "Data → clusterer → labels → checkpoint → evaluation → prediction model. Click a box to open it."
        )
        st.html(drawing(lineage))
        if lineage.truncated:
            st.info("Only the nearest runs are shown.")
        with st.expander("As a list"):
            _list(lineage)


def _list(lineage: Lineage) -> None:
    names = {node.id: plain(node.name) for node in lineage.nodes}
    for node in lineage.nodes:
        _link(node)
        edges = [edge for edge in lineage.edges if edge.target == node.id and edge.source in names]
        if edges:
            st.caption(
                "reads " + ", ".join(f"{plain(edge.artifact)} of {names[edge.source]}" for edge in edges)
            )


def _link(node: LineageNode) -> None:
    label = f"{plain(node.name)} :gray[{plain(describe(node))}]"
    if node.removed:
        st.markdown(f":material/database: {label}")
        return
    page, parameter = PAGES[node.kind]
    link_to(page, label, {parameter: str(node.id)})
