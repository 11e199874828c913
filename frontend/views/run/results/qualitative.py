"""The result of qualitative: predictions of several models on the same images."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend.formatting import plain
from frontend.session import client
from vise_client.schemas.runs import RunView


def qualitative_result(run: RunView, _: dict[str, Any]) -> None:
    """Draw the figure as the paper does."""
    figure = next((a for a in run.artifacts if a.name == "figure"), None)
    if figure is not None:
        for file in client().artifact_files(figure.id):
            if file.path.endswith(".png"):
                st.image(
                    client().artifact_content(figure.id, file.path),
                    caption=plain(file.path),
                    alt=file.path,
                    width="stretch",
                )
