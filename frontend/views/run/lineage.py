"""Where a run comes from and what was made of it: drawn, and as a list."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.charts.lineage import describe, drawing
from frontend.components.layout import empty
from frontend.formatting import plain
from frontend.navigation import PAGES
from frontend.session import client, show_errors
from vise_client.schemas.lineage import LineageNode


def run_lineage(run_id: UUID) -> None:
    with show_errors():
        found = client().lineage(run_id)
        if len(found.nodes) < 2:
            empty(
                "It stands alone.", "This run reads no other run's artifacts, and nothing reads its own yet."
            )
            return
        st.caption("Data → clusterer → labels → checkpoint → evaluation → prediction model. Boxes are links.")
        st.html(drawing(found))
        if found.truncated:
            st.info("There is more than fits: the nearest runs are shown.")
        names = {node.id: node for node in found.nodes}
        with st.expander("As a list"):
            for node in found.nodes:
                _link(node)
                reads = [e for e in found.edges if e.target == node.id and e.source in names]
                if reads:
                    sources = ", ".join(f"{e.artifact} of {plain(names[e.source].name)}" for e in reads)
                    st.caption(f"reads {sources}")


def _link(node: LineageNode) -> None:
    label = f"{plain(node.name)} :gray[{describe(node)}]"
    page, query = {
        "run": ("run", {"run": str(node.id)}),
        "dataset": ("data", {"dataset": str(node.id)}),
        "model": ("models", {"model": str(node.id)}),
    }[node.kind]
    if page in PAGES and not node.removed:
        st.page_link(PAGES[page].view, label=label, icon=PAGES[page].icon, query_params=query)
    else:
        st.markdown(f":material/database: {label}")
