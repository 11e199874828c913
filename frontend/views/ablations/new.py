"""The form that saves a new ablation."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import link_to
from frontend.formatting import minute
from frontend.session import client, show_errors
from vise_client.schemas.ablations import AblationCreate
from vise_core.specs.recipes.ablation_kinds import ABLATION_KINDS, Kind


def new_ablation() -> None:
    """Draw the form of a new ablation."""
    box = st.expander("New ablation", icon=":material/add:", key="new", on_change="rerun")
    if not box.open:
        return
    with box:
        runs = client().runs(stage="evaluate", state=["succeeded"], all=True, limit=200).items
        baselines = [run for run in runs if run.headline]
        if not baselines:
            st.write("An ablation needs a baseline: an evaluation of a backbone that was pretrained here.")
            link_to("launch", "Launch a recipe")
            return
        kind: Kind = st.selectbox(
            "Factor",
            list(ABLATION_KINDS),
            format_func=lambda name: ABLATION_KINDS[name].title,
            key="new-kind",
        )
        st.caption(ABLATION_KINDS[kind].help)
        baseline = st.selectbox(
            "Baseline",
            baselines,
            format_func=lambda run: f"{run.name}, {minute(run.created_at)}",
            key="new-baseline",
            help="All other settings are those of this evaluation and of its input runs.",
        )
        name = st.text_input("Name", value=ABLATION_KINDS[kind].title, max_chars=120, key=f"new-name-{kind}")
        if st.button("Save ablation", type="primary", disabled=not name.strip()):
            with show_errors():
                saved = client().create_ablation(
                    AblationCreate(name=name.strip(), kind=kind, baseline=baseline.id)
                )
                st.query_params["ablation"] = str(saved.id)
                st.rerun()
