"""One model: its metrics, the runs it was made from, its card, and the actions on it."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.components.derived import NAMED, confirm_deletion
from frontend.components.layout import link_to
from frontend.components.run_rows import run_link
from frontend.formatting import plain, size, user_markdown
from frontend.session import client, is_admin, last_shown, may_change, show_errors
from frontend.style import deleted_inputs_badge, synthetic_badge
from frontend.views.models.registry import DEFAULT_BADGE
from vise_client.schemas.accounts import Owned
from vise_client.schemas.models import ModelCardView, ModelUpdate, ModelView


def model_card(model_id: UUID) -> None:
    """Draw a model's card with its actions."""
    card = client().model_card(model_id)
    facts = card.facts
    model = client().model(model_id)
    link_to("models", "All models", icon=":material/arrow_back:")
    st.header(plain(facts.name), anchor=False)
    st.markdown(
        f"{DEFAULT_BADGE + ' ' if model.default else ''}{synthetic_badge(facts.synthetic)}{deleted_inputs_badge(model.deleted_inputs)} {plain(facts.method)} on "
        f"{plain(facts.task)}, {plain(facts.backbone)}, {plain(facts.protocol)}, {plain(facts.features)} features, "
        f"{len(facts.classes)} classes"
    )
    columns = st.columns(max(3, len(facts.metrics)))
    for column, metric in zip(columns, facts.metrics, strict=False):
        column.markdown(f"**{plain(metric.sentence)}**")
    _actions(model, card)
    lineage, text = st.tabs(["Made from", "Model card"])
    with lineage:
        run_link(facts.run, "Evaluation run")
        for step in facts.lineage:
            indent = "\u2003" * (step.depth - 1) + ("↳ " if step.depth > 1 else "")
            mark = synthetic_badge(step.synthetic)
            label = f"{indent}{plain(step.role)}: {plain(step.name)} :gray[{plain(step.stage or step.kind)}]{mark}"
            if step.kind == "run":
                st.page_link("views/run/page.py", label=label, query_params={"run": step.id})
            else:
                st.markdown(label)
    with text:
        # One heading level down: the page has its own first-level heading.
        st.markdown(user_markdown(card.markdown).replace("\n## ", "\n### ").replace("# ", "## ", 1))


def _actions(model: ModelView, card: ModelCardView) -> None:
    with st.container(horizontal=True):
        link_to("predict", "Classify images with this model", {"model": str(model.id)})
        st.link_button(
            f"Download ({size(card.size)}, safetensors)",
            f"/download/models/{model.id}",
            icon=":material/download:",
        )
        if not may_change(Owned.model, model.id):
            return
        if not model.default and st.button("Make default", icon=":material/check:"):
            client().update_model(model.id, ModelUpdate(default=True))
            st.rerun()
        with st.popover("Rename", icon=":material/edit:"):
            shown = last_shown(f"shown-{model.id}", {"name": model.name})
            name = st.text_input("New name", model.name, max_chars=120).strip()
            if (
                st.button("Save name", type="primary")
                and name
                and (change := ModelUpdate.of_changes(shown, {"name": name}))
            ):
                client().update_model(model.id, change)
                st.rerun()
        if is_admin() and st.button("Delete", icon=":material/delete:"):
            _delete_dialog(model)


@st.dialog("Delete this model?", width="large")
def _delete_dialog(model: ModelView) -> None:
    with show_errors():
        derived = client().model_derived(model.id, limit=NAMED)
        st.write(
            f"This deletes **{plain(model.name)}** and its predictions. The run that it was made from is kept."
        )

        def delete() -> None:
            client().delete_model(model.id)
            st.query_params.clear()

        confirm_deletion("Delete model", derived, delete)
