"""Models: the registry; one model with its card; several side by side."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import page_title
from frontend.session import query_id, show_errors
from frontend.views.models.comparison import model_comparison
from frontend.views.models.model import model_card
from frontend.views.models.registry import registry

page_title("Models", "Registered models: their metrics, origin, model card and files.")
with show_errors():
    model_id, compared = query_id("model"), st.query_params.get_all("compare")
    if model_id is not None:
        model_card(model_id)
    elif compared:
        model_comparison(compared)
    else:
        registry()
