"""Ablations: a baseline evaluation, and the effect of changing one factor."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.components.layout import empty, page_title
from frontend.session import can_edit, client, query_id, show_errors
from frontend.views.ablations.ablation import ablation
from frontend.views.ablations.new import new_ablation
from vise_core.specs.recipes.ablation_kinds import ABLATION_KINDS

page_title("Ablations", "A baseline evaluation, and the effect of changing one factor at a time.")
with show_errors():
    saved = {str(a.id): f"{a.name} ({ABLATION_KINDS[a.kind].title})" for a in client().ablations()}
    if saved:
        ids, linked = list(saved), str(query_id("ablation"))
        # Without a key: a new ablation is selected by the address.
        selected = st.selectbox(
            "Ablation", ids, index=ids.index(linked) if linked in saved else 0, format_func=saved.__getitem__
        )
        st.query_params["ablation"] = selected
        ablation(UUID(selected))
    else:
        empty(
            "No ablations yet",
            "Below, select a succeeded evaluation as the baseline and the factor to vary. Existing runs are reused; "
            "launch the missing ones from this page.",
        )
    if can_edit():
        new_ablation()
