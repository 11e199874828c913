"""Launch: a form for a stage or a sweep, made from its spec, or for a recipe. The address holds its whole state."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import page_title, read_only
from frontend.session import can_edit, show_errors, stages
from frontend.views.launch.draft import clone_source, reset_address
from frontend.views.launch.recipe import launch_recipe
from frontend.views.launch.stage import launch_stage


def linked_item() -> str:
    """Return the stage that the address names, or that of the run to clone; ``recipe`` without one."""
    source = clone_source()
    if source is not None:
        return source.stage or (source.spec.get("stage") if source.kind == "sweep" else None) or "recipe"
    return st.query_params.get("what", "recipe")


def change_item() -> None:
    """Select another stage or recipe: the address keeps nothing else."""
    reset_address()
    st.query_params.from_dict({"what": st.session_state["launch.what"]})


page_title("Launch", "Choose a stage or a recipe, change its settings, check the estimate, and start it.")
with show_errors():
    if not can_edit():
        read_only("start runs")
        st.stop()
    by_name = stages()
    items = {"recipe": "Recipe: a chain of runs"} | {
        name: f"{stage.title}: {stage.help}" for name, stage in by_name.items()
    }
    names, linked = list(items), linked_item()
    item = st.selectbox(
        "What to run",
        names,
        index=names.index(linked) if linked in names else 0,
        format_func=items.__getitem__,
        key="launch.what",
        on_change=change_item,
    )
    if item == "recipe":
        launch_recipe()
    else:
        launch_stage(by_name[item])
