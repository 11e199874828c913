"""The list of registered models, and the form that registers one."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty, link_to
from frontend.components.paging import paged_list
from frontend.formatting import headline, minute, plain
from frontend.session import can_edit, changeable, client
from frontend.style import synthetic_badge
from frontend.views.models.comparison import MOST_COMPARED
from vise_client.schemas.accounts import Owned
from vise_client.schemas.models import ModelCreate, ModelView

DEFAULT_BADGE = ":green-badge[:material/check: default]"


def registry() -> None:
    """Draw one page of models, with search; several can be selected for comparison."""
    paged_list("models", "Search by name, method or backbone", client().models, _row, _no_models)
    _compare_link()
    if can_edit():
        _register()


def _no_models() -> None:
    empty(
        "No models yet",
        "Register a succeeded evaluation below, or run the sample recipe, which registers its best model.",
        page="home",
        label="Run the sample recipe",
    )


def _row(model: ModelView) -> None:
    with st.container(border=True, key=f"row-{model.id}"):
        about, select = st.columns([6, 1], vertical_alignment="center")
        about.page_link(
            "views/models/page.py", label=f"**{plain(model.name)}**", query_params={"model": str(model.id)}
        )
        if marks := (DEFAULT_BADGE if model.default else "") + synthetic_badge(model.synthetic):
            about.markdown(marks)
        about.caption(
            f"{plain(model.method)} · {plain(model.task)} · {plain(model.backbone)} · {len(model.classes)} classes · "
            f"{plain(headline(model.headline))} · {model.created_at:%Y-%m-%d}"
        )
        select.checkbox("Compare", key=f"compare.{model.id}")


def _compare_link() -> None:
    selected = [
        str(key).removeprefix("compare.")
        for key, checked in st.session_state.items()
        if str(key).startswith("compare.") and checked
    ][:MOST_COMPARED]
    if len(selected) > 1:
        label = f"Compare {len(selected)} models"
        link_to("models", label, {"compare": selected}, icon=":material/compare_arrows:")


def _register() -> None:
    st.header("Register a model", anchor=False)
    st.write(
        "Every succeeded evaluation of yours can be registered as a model, which classifies images on the page "
        "Predict."
    )
    search = st.text_input(
        "Search evaluations", key="models.evaluations", placeholder="Search by name or tag", live=True
    )
    runs = client().runs(stage="evaluate", state=["succeeded"], all=True, search=search, limit=50).items
    if not runs:
        st.caption(
            "No succeeded evaluation matches the search." if search else "No evaluation has succeeded yet."
        )
        return
    own = changeable(Owned.run, [run.id for run in runs])
    runs = [run for run in runs if str(run.id) in own]
    if not runs:
        st.caption("The evaluations found belong to other users; their owners and admins can register them.")
        return
    names = {run.id: f"{run.name} · {headline(run.headline)} · {minute(run.created_at)}" for run in runs}
    with st.form("register"):
        run_id = st.selectbox("Evaluation", list(names), format_func=names.__getitem__)
        name = st.text_input("Name of the model", max_chars=120)
        default = st.checkbox("Default model, for requests that name no model")
        if not st.form_submit_button("Register", type="primary"):
            return
    if not name.strip():
        st.error("Enter a name for the model.")
        return
    model = client().register_model(ModelCreate(run_id=run_id, name=name.strip(), default=default))
    st.query_params["model"] = str(model.id)
    st.rerun()
