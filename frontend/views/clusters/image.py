"""The engagement that a pretrained model predicts for one image."""

from __future__ import annotations

import streamlit as st

from frontend.components.expected_engagement import expected_engagement, pretrained_select
from frontend.components.image_preview import image_preview, show_preview
from frontend.components.image_source import image_select
from frontend.components.layout import read_only
from frontend.session import can_edit


def image_engagement() -> None:
    """Draw an image upload and the engagement predicted for the image."""
    if not can_edit():
        read_only("make predictions")
        return
    st.markdown("The comments and reactions that a pretrained model predicts for an image.")
    left, right = st.columns(2, gap="large")
    with left:
        image = next(iter(image_select(several=False)), None)
    with right:
        model = pretrained_select()
        if image is not None:
            show_preview(image_preview(image.data), alt=image.name, width=240)
    if image is not None and model is not None:
        with st.container(border=True):
            expected_engagement(image, model, key="image")
