"""The controls of the view Predict: models, the options of a request, and how heat maps are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from frontend.components.url_select import url_multiselect
from frontend.formatting import plain
from frontend.views.predict.image_panels import HeatStyle
from frontend.views.predict.requests import RequestOptions
from vise_client.schemas.models import ModelView
from vise_core.specs.explain import CAM_METHODS, COLOUR_MAP, COLOUR_MAPS
from vise_core.specs.models.predict import PredictOptions

MOST_MODELS = 6
MOST_PROBABLE = "most probable"


def model_select(models: Sequence[ModelView]) -> list[ModelView]:
    """Draw a selection of models and return the selected ones, by default the default model.

    The address names them.
    """
    by_id = {str(model.id): model for model in models}
    selected = url_multiselect(
        "Models",
        {i: model.name + (" (default)" if model.default else "") for i, model in by_id.items()},
        "model",
        default=[str(models[0].id)],
        most=MOST_MODELS,
        help="Several models are compared side by side on the same image.",
    )
    for model in (by_id[i] for i in selected):
        st.caption(plain(f"{model.name}: {model.method}, {model.backbone}, {model.task}"))
    return [by_id[i] for i in selected]


def request_options(models: Sequence[ModelView]) -> RequestOptions:
    """Draw the options that need a new prediction when they change, and return them."""
    left, right = st.columns(2)
    method: Any = left.selectbox(
        "Heat map", list(CAM_METHODS), format_func=CAM_METHODS.__getitem__, key="method", bind="query-params"
    )
    common = [name for name in models[0].classes if all(name in m.classes for m in models)]
    target = right.selectbox(
        "Class of the heat map",
        [MOST_PROBABLE, *common],
        key="class",
        bind="query-params",
        help="The heat map shows the regions that support this class. Lists the classes of all selected models.",
    )
    keep = st.toggle(
        "Keep a thumbnail in the history",
        key="keep",
        bind="query-params",
        help="Off: one hour after the prediction, nothing of the image is stored. On: a thumbnail of 128 pixels and the "
        "SHA-256 of the file stay in the history. Applies to new predictions.",
    )
    return RequestOptions(method, None if target == MOST_PROBABLE else target, keep)


def heat_style() -> HeatStyle:
    """Draw the options of heat maps, which need no new prediction, and return them."""
    defaults = PredictOptions()
    left, right = st.columns([3, 2])
    strength = left.slider(
        "Opacity of the heat map", 0.0, 1.0, defaults.strength, 0.05, key="strength", bind="query-params"
    )
    colour_map = right.selectbox(
        "Colour map",
        list(COLOUR_MAPS),
        index=list(COLOUR_MAPS).index(COLOUR_MAP),
        format_func=COLOUR_MAPS.__getitem__,
        key="colours",
        bind="query-params",
        help="Perceptually uniform: readable in grey and for colour-blind readers.",
    )
    return HeatStyle(strength, colour_map)
