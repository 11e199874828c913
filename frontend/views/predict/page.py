"""Predict: classify images with registered models; the history; the set of labelled images."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import empty, page_title, read_only
from frontend.session import can_edit, client, show_errors
from frontend.views.predict.history import history
from frontend.views.predict.labelled_set import labelled_set
from frontend.views.predict.predict import predict

VIEWS = ("Predict", "History", "Labelled set")

page_title("Predict", "Classify images with registered models, see heat maps, and correct wrong predictions.")
with show_errors():
    models = client().models()
    if not models:
        empty(
            "No models yet",
            "Run the sample recipe, or register a succeeded evaluation on the page Models. Then upload images here.",
            page="home",
            label="Run the sample recipe",
        )
        st.stop()
    if not can_edit():
        read_only("make predictions")
        st.stop()
    view = st.segmented_control(
        "View",
        VIEWS,
        default=VIEWS[0],
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    if view == "History":
        history(models)
    elif view == "Labelled set":
        labelled_set()
    else:
        predict(models)
