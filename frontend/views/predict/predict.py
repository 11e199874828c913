"""The view Predict: select models, images and options; see the predictions side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.components.expected_engagement import expected_engagement, pretrained_select
from frontend.components.image_preview import isolated_errors
from frontend.components.image_source import image_select
from frontend.components.layout import empty
from frontend.session import query_id
from frontend.views.predict.api_examples import api_examples
from frontend.views.predict.controls import heat_style, model_select, request_options
from frontend.views.predict.image_panels import image_panels
from frontend.views.predict.requests import predict_all, predictions_of_batch
from vise_client.schemas.models import ModelView


def predict(models: Sequence[ModelView]) -> None:
    """Draw the form of a prediction and its results."""
    left, right = st.columns(2, gap="large")
    with right:
        selected = model_select(models)
    with left:
        images = image_select(selected)
    if not selected:
        st.info("Select a model.")
        return
    with right:
        options, style = request_options(selected), heat_style()
    linked = query_id("batch")
    if images:
        batch, results = predict_all(images, selected, options)
        st.query_params["batch"] = str(batch)
    elif linked is not None:
        results = predictions_of_batch(linked)
        if not results:
            empty("No predictions under this link", "They were deleted. Select images above.")
            return
        st.info(
            "From the history. Select the images again to use other models or another heat map.",
            icon=":material/history:",
        )
    else:
        empty(
            "No image yet",
            "Upload images above, use the camera, or select samples. The probabilities of the classes and a heat map of "
            "the image appear here.",
            icon=":material/image_search:",
        )
        return
    st.header("Predictions", anchor=False)
    with_engagement = bool(images) and st.toggle(
        "Expected engagement",
        key="engagement",
        bind="query-params",
        help="The comments and reactions that a pretrained model predicts for each image.",
    )
    pretrained = pretrained_select() if with_engagement else None
    by_id = {model.id: model for model in models}
    for result in results:
        with isolated_errors(result.name):
            image_panels(result, by_id, style)
        if pretrained is not None and result.image is not None:
            box = st.container(border=True, key=f"engagement-{result.position}")
            with box, isolated_errors(result.name):
                expected_engagement(result.image, pretrained, key=str(result.position))
    api_examples(results, style)
