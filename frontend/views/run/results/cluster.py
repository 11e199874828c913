"""The result of clustering: comment clusters by their terms, reaction clusters by their mean shares."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from frontend.components.table import show_rows
from frontend.session import client
from vise_client.schemas.runs import RunView


def cluster_result(run: RunView, _: dict[str, Any]) -> None:
    """Draw tables of the comment and the reaction clusters."""
    artifact = next((artifact for artifact in run.artifacts if artifact.name == "inspection"), None)
    if artifact is None:
        return
    inspection = json.loads(client().artifact_content(artifact.id))
    if inspection["comments"]:
        st.write("**Comment clusters**, largest first")
        rows = [
            {
                "cluster": c["cluster"],
                "comments": c["size"],
                "top terms": "  ".join(term for term, _ in c["terms"][:7]),
                "nearest comments": " · ".join(c["comments"][:3]),
            }
            for c in sorted(inspection["comments"], key=lambda c: -c["size"])
        ]
        show_rows(rows, hide_index=True, height=380)
    if inspection["reactions"]:
        st.write("**Reaction clusters**: mean share of each reaction")
        rows = [
            {"cluster": c["cluster"], "posts": c["size"], **c["reactions"]}
            for c in sorted(inspection["reactions"], key=lambda c: -c["size"])
        ]
        show_rows(rows, hide_index=True)
