"""An image beside a panel for each model: heat map, probabilities and feedback (as in Figs. 7 and 8)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import streamlit as st

from frontend.charts.heat import heat_figure, read_heat, where_strongest
from frontend.charts.palette import STATIC, is_dark
from frontend.charts.shares import share_bars
from frontend.components.figure import show_figure
from frontend.components.image_preview import ImagePreview, image_preview, show_preview
from frontend.formatting import headline, plain
from frontend.session import show_errors
from frontend.style import synthetic_badge
from frontend.views.predict.feedback import feedback
from frontend.views.predict.requests import ImageResult, image_of
from vise_client.schemas.models import ModelView
from vise_client.schemas.predictions import PredictionView
from vise_core.specs.explain import CAM_METHODS, CLASS_FREE_METHODS, ColourMap

COLUMNS = 4
CONTENT = 900
"""About the width of a page's content on a laptop, in pixels, without the gaps between columns."""


@dataclass(frozen=True)
class HeatStyle:
    """Opacity and colours of a heat map."""

    strength: float
    colour_map: ColourMap


def image_panels(result: ImageResult, models: Mapping[UUID, ModelView], style: HeatStyle) -> None:
    """Draw the image and the predictions of all models in a grid of equal columns."""
    with st.container(border=True, key=f"image-{result.position}"):
        truth = result.image.truth if result.image else None
        mark = synthetic_badge(result.image is not None and result.image.synthetic)
        st.subheader(f"{result.position + 1}. {plain(result.name)}", anchor=False)
        if mark or truth:
            st.markdown(f"{mark} {f'Generated as **{plain(truth)}**.' if truth else ''}".strip())
        n_columns = min(COLUMNS, max(2, len(result.predictions) + 1))
        columns = list(st.columns(n_columns))
        with columns[0]:
            _image(result)
        for position, (model_id, prediction) in enumerate(result.predictions.items(), 1):
            if position % COLUMNS == 0:
                columns += st.columns(n_columns)
            with columns[position]:
                if isinstance(prediction, PredictionView):
                    _prediction(prediction, truth, style, CONTENT // n_columns)
                else:
                    if model_id in models:
                        st.markdown(f"**{plain(models[model_id].name)}**")
                    st.warning(plain(prediction))


def _image(result: ImageResult) -> None:
    st.markdown("**Image**")
    predictions = (p for p in result.predictions.values() if isinstance(p, PredictionView))
    jpeg = next((jpeg for p in predictions if (jpeg := image_of(p)) is not None), None)
    if jpeg is None and result.image is None:
        st.caption(":material/visibility_off: The image has been deleted; its predictions are kept.")
        return
    preview = ImagePreview(jpeg)
    if jpeg is None and result.image is not None:
        preview = image_preview(result.image.data)
    show_preview(preview, alt=f"{result.name}, without heat map")


def _prediction(prediction: PredictionView, truth: str | None, style: HeatStyle, width: int) -> None:
    model = prediction.model
    st.markdown(f"**{plain(model.name)}**{synthetic_badge(model.synthetic)}")
    with show_errors():
        _heat_map(prediction, style, width)
    predicted = prediction.predicted or ""
    known = prediction.feedback or truth
    st.markdown(
        f"**{plain(predicted)}**, {prediction.probabilities[predicted]:.0%}{_verdict(predicted, known)}"
    )
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    show_figure(
        share_bars(prediction.probabilities, marked=predicted, dark=is_dark()),
        key=f"bars-{prediction.id}",
        config=STATIC,
        alt="Probabilities: " + ", ".join(f"{name} {p:.0%}" for name, p in ranked),
    )
    took = f"Computed in {prediction.milliseconds:.0f} ms. " if prediction.milliseconds is not None else ""
    st.caption(f"{took}{plain(headline(model.headline))}")
    feedback(prediction, truth)


def _heat_map(prediction: PredictionView, style: HeatStyle, width: int) -> None:
    jpeg = image_of(prediction)
    if not prediction.heat_png or not prediction.region or jpeg is None:
        return
    heat = read_heat(base64.b64decode(prediction.heat_png))
    method, place = CAM_METHODS[prediction.method], where_strongest(heat)
    about = "all classes" if prediction.method in CLASS_FREE_METHODS else f"“{prediction.target}”"
    show_figure(
        heat_figure(
            jpeg,
            heat,
            prediction.region,
            strength=style.strength,
            colour_map=style.colour_map,
            width=width,
        ),
        key=f"heat-{prediction.id}",
        config=STATIC,
        alt=f"{method} of {prediction.model.name} for {about}: strongest at the {place}",
    )
    st.caption(plain(f"{method} for {about}, strongest at the {place}."))


def _verdict(predicted: str, known: str | None) -> str:
    """Markdown: whether the prediction is right, where the true class is known."""
    if known is None:
        return ""
    if known == predicted:
        return "  \n:green[:material/check: right]"
    return f"  \n:red[:material/close: wrong, it is {plain(known)}]"
