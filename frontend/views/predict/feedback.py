"""Feedback on a prediction: the label that the user gives to the image."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain
from frontend.session import client, may_change, show_errors
from frontend.views.predict.requests import replace_cached
from vise_client.schemas.accounts import Owned
from vise_client.schemas.predictions import FeedbackCreate, PredictionView


def feedback(prediction: PredictionView, truth: str | None) -> None:
    """Draw the label that was given, with a button that removes it, or the form that adds one.

    A label can be added as long as the image is stored.
    """
    if prediction.feedback is not None:
        st.markdown(f":material/label: labelled **{plain(prediction.feedback)}**; the image is kept")
        if may_change(Owned.label, prediction.id) and st.button(
            "Remove label", key=f"remove-label-{prediction.id}", icon=":material/undo:"
        ):
            with show_errors():
                replace_cached(prediction.id, client().remove_feedback(prediction.id))
                st.rerun()
    elif prediction.pictured_until is not None:
        with st.popover("Label this image", icon=":material/rate_review:", width="stretch"):
            st.markdown(
                "Confirm or correct the class. The image is then **kept** in the labelled set, which every editor can "
                f"export. Without a label it is deleted at {prediction.pictured_until:%H:%M} UTC."
            )
            _form(prediction, truth)


def _form(prediction: PredictionView, truth: str | None) -> None:
    """In a form, since a selection that runs the page again would close the popover."""
    classes = prediction.model.classes
    suggested = truth if truth in classes else prediction.predicted
    with st.form(f"feedback-{prediction.id}", border=False):
        label = st.selectbox(
            "Class",
            classes,
            index=classes.index(suggested) if suggested in classes else 0,
            key=f"label-{prediction.id}",
        )
        submitted = st.form_submit_button("Save label", type="primary")
    if submitted and label:
        with show_errors():
            replace_cached(prediction.id, client().give_feedback(prediction.id, FeedbackCreate(label=label)))
            st.rerun()
