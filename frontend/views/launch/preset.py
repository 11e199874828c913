"""The selection of a preset, or the note that the form is a copy of a run."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain
from frontend.views.launch.draft import clone_source, reset_address
from vise_client.schemas.launch import StageView


def preset_select(stage: StageView) -> str:
    """Draw a selection of presets and return the name of the selected one; empty for the defaults and for a clone."""
    source = clone_source()
    if source is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"A copy of **{plain(source.name)}**. Change its settings below, then launch it.")
            if st.button("Use a preset instead", type="tertiary"):
                reset_address()
                st.rerun()
        return ""
    names, linked = ["", *stage.presets], st.query_params.get("preset", "")
    return st.selectbox(
        "Preset",
        names,
        index=names.index(linked) if linked in names else 0,
        format_func=lambda name: name or "Defaults",
        help="The paper's settings. You can change them below.",
        key=f"launch.preset.{stage.name}",
        on_change=_change_preset,
        args=(stage.name,),
    )


def _change_preset(stage: str) -> None:
    """The preset replaces spec and sweep; inputs and name stay."""
    for key in ("spec", "grid", "preset"):
        st.query_params.pop(key, None)
    if preset := st.session_state[f"launch.preset.{stage}"]:
        st.query_params["preset"] = preset
