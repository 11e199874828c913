"""The button that runs the sample recipe: the whole workflow on synthetic data."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import read_only
from frontend.session import can_edit, client
from vise_client.schemas.launch import RecipeCreate
from vise_client.schemas.run_states import RunState

UNFINISHED = [state.value for state in RunState if not state.final]


def is_running() -> bool:
    """Return True if a recipe on synthetic data is unfinished."""
    return any(run.synthetic for run in client().runs(kind="recipe", state=UNFINISHED, limit=20).items)


def sample_recipe(running: bool, *, primary: bool) -> None:
    """Draw what the sample recipe does, and the button that starts it; ``running`` disables the button."""
    st.header("Try it with sample data", anchor=False)
    st.write(
        "Generates synthetic posts, clusters their comments and reactions, pretrains a small network on the "
        "pseudo-labels, compares it with random and ImageNet features on six emotions, and registers the best model, "
        "ready for your own images. Takes a few minutes on a laptop."
    )
    if not can_edit():
        read_only("start runs")
        return
    if st.button(
        "Sample recipe is running" if running else "Run the sample recipe",
        type="primary" if primary else "secondary",
        icon=":material/play_arrow:",
        disabled=running,
        key="try-sample",
    ):
        client().create_recipe(RecipeCreate(recipe="sample"))
        st.rerun()
