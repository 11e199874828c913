"""The result of explain: class activation maps over their images."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.formatting import plain
from frontend.session import client
from vise_client.schemas.runs import RunView

MAX_OVERLAYS = 24


def explain_result(run: RunView, _: dict[str, Any]) -> None:
    """Draw the first overlays."""
    overlays = next((a for a in run.artifacts if a.name == "overlays"), None)
    if overlays is None:
        return
    files = [f for f in client().artifact_files(overlays.id) if f.path.endswith(".png")][:MAX_OVERLAYS]
    columns = st.columns(4)
    for position, file in enumerate(files):
        columns[position % 4].image(
            client().artifact_content(overlays.id, file.path), caption=plain(file.path)
        )
