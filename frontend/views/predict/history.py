"""The history of the user's predictions."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import streamlit as st

from frontend.components.layout import empty
from frontend.components.paging import cursor_buttons
from frontend.formatting import age, plain
from frontend.session import client
from frontend.style import synthetic_badge
from frontend.views.predict.requests import replace_cached
from vise_client.schemas.models import ModelView
from vise_client.schemas.predictions import PredictionSummary
from vise_core.specs.explain import CAM_METHODS

PAGE = 20
FEEDBACK = {"all": None, "labelled": True, "not labelled": False}


def history(models: Sequence[ModelView]) -> None:
    """Draw the user's predictions, newest first; the address keeps filters and position."""
    st.markdown(
        "Your own predictions. An image is stored for one hour and then deleted; a thumbnail and the SHA-256 stay only "
        "where you chose to keep them."
    )
    names = {str(model.id): model.name for model in models}
    left, right = st.columns(2)
    model = left.selectbox(
        "Model",
        ["", *names],
        format_func=lambda i: names.get(i, "all models"),
        key="of",
        bind="query-params",
        on_change=_to_newest,
    )
    labelled = right.segmented_control(
        "Feedback",
        list(FEEDBACK),
        default="all",
        required=True,
        key="labels",
        bind="query-params",
        on_change=_to_newest,
    )
    page = client().predictions(
        model_id=model or None,
        with_feedback=FEEDBACK[labelled],
        cursor=st.query_params.get("cursor"),
        limit=PAGE,
    )
    if not page.items:
        empty("No predictions yet", "Your predictions appear here, newest first. Start in the view Predict.")
    now = datetime.now(UTC)
    for row in page.items:
        _row(row, now)
    cursor_buttons(page.next_cursor)


def _row(row: PredictionSummary, now: datetime) -> None:
    with (
        st.container(border=True, key=f"row-{row.id}"),
        st.container(horizontal=True, vertical_alignment="center"),
    ):
        if row.thumbnail_jpg:
            st.image(base64.b64decode(row.thumbnail_jpg), width=64, alt="Thumbnail of the image")
        else:
            stored = "image stored" if row.pictured else "image deleted"
            st.markdown(f":material/hide_image: :small[{stored}]", width=130)
        st.markdown(_sentence(row, now), width="stretch")
        if row.batch is not None and row.state == "succeeded":
            st.button("Open", key=f"open-{row.id}", on_click=_open, args=(row.batch,))
        if st.button(
            "Delete",
            key=f"delete-{row.id}",
            icon=":material/delete:",
            help="Delete this prediction and what is stored of its image.",
        ):
            client().delete_prediction(row.id)
            replace_cached(row.id)
            st.rerun()


def _sentence(row: PredictionSummary, now: datetime) -> str:
    """Markdown: the predicted class or the state, then model, method and age."""
    when = f":small[{age(now, row.created_at)} ago]"
    request = f":gray[{plain(row.model)}, {CAM_METHODS[row.method]}]{synthetic_badge(row.synthetic)} {when}"
    if row.state == "failed":
        return f":red[:material/error: {plain(row.error or 'failed without an error message')}]  \n{request}"
    if row.predicted is None:
        return f":material/schedule: queued for a prediction worker  \n{request}"
    label = ""
    if row.feedback is not None:
        colour, icon = ("green", "check") if row.feedback == row.predicted else ("red", "close")
        label = f" :{colour}-badge[:material/{icon}: labelled {plain(row.feedback)}]"
    digest = f"  \n:small[SHA-256 {row.sha256[:16]}…]" if row.sha256 else ""
    return f"**{plain(row.predicted)}** {row.probability or 0:.0%}{label}  \n{request}{digest}"


def _open(batch: UUID) -> None:
    """Show the predictions of this batch in the view Predict."""
    st.session_state["view"] = "Predict"
    st.session_state["sample"] = []
    _to_newest()
    st.query_params["batch"] = str(batch)


def _to_newest() -> None:
    st.query_params.pop("cursor", None)
