"""Launch: forms made from the specs; its whole state is in its address."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import page_title
from frontend.session import can_edit, show_errors, stages
from frontend.views.launch.draft import cloned, forget
from frontend.views.launch.recipe import launch_recipe
from frontend.views.launch.stage import launch_stage


def _what() -> str:
    """What the address says is to run; of a clone, what the run was."""
    source = cloned()
    if source is not None:
        return source.stage or (source.spec.get("stage") if source.kind == "sweep" else None) or "recipe"
    return st.query_params.get("what", "recipe")


def _chosen() -> None:
    """Another thing to run: nothing of the address but that stays."""
    forget()
    st.query_params.from_dict({"what": st.session_state["launch.what"]})


page_title("Launch", "Choose what to run, change its settings, see what it will take, start it.")
with show_errors():
    if not can_edit():
        st.info("Your role only reads. Ask an editor to start a run.")
        st.stop()
    known = stages()
    names = ["recipe", *known]
    wanted = _what()
    what = st.selectbox(
        "What to run",
        names,
        index=names.index(wanted) if wanted in names else 0,
        format_func=lambda name: (
            "Recipe: a whole chain of runs"
            if name == "recipe"
            else f"{known[name].title}: {known[name].help}"
        ),
        key="launch.what",
        on_change=_chosen,
    )
    if what == "recipe":
        launch_recipe()
    else:
        launch_stage(known[what])
