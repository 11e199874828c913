"""Predict: ask several models about several images, see where they look, say whether they are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import streamlit as st

from frontend.components.expected_engagement import choose_pretrained, expected_engagement
from frontend.components.image_preview import by_itself
from frontend.components.image_source import choose_images
from frontend.components.layout import empty, page_title
from frontend.components.url_select import addressed_several
from frontend.session import can_edit, client, show_errors
from frontend.settings import public_api_url
from frontend.views.predict.api_calls import TOKEN, Question, curl_call, python_call
from frontend.views.predict.history import batch_of_address, history, labelled_set
from frontend.views.predict.requests import Shown, Wish, ask_all, of_batch
from frontend.views.predict.results import Look, answers_of_image
from vise_client.schemas.models import ModelView
from vise_client.schemas.predictions import PredictionView
from vise_core.specs.explain import CAM_METHODS, COLOUR_MAP, COLOUR_MAPS
from vise_core.specs.models.predict import PredictOptions

VIEWS = ("Ask", "History", "Labelled set")
MOST_MODELS = 6
ANY = "most probable"


def choose_models(models: Sequence[ModelView]) -> list[ModelView]:
    by_id = {str(m.id): m for m in models}
    chosen = addressed_several(
        "Models",
        {i: model.name + (" (default)" if model.default else "") for i, model in by_id.items()},
        "model",
        first=[str(models[0].id)],
        most=MOST_MODELS,
        help="Several are laid beside each other, on the same image.",
    )
    for model in (by_id[i] for i in chosen):
        st.caption(f"{model.name}: {model.method}, {model.backbone}, {model.task}")
    return [by_id[i] for i in chosen]


def choose_wish(models: Sequence[ModelView]) -> Wish:
    """Questions to the network: changing one of these asks again."""
    left, right = st.columns(2)
    method: Any = left.selectbox(
        "Map", list(CAM_METHODS), format_func=CAM_METHODS.__getitem__, key="method", bind="query-params"
    )
    common = [name for name in models[0].classes if all(name in m.classes for m in models)]
    target = right.selectbox(
        "Class of the map",
        [ANY, *common],
        key="class",
        bind="query-params",
        help="The map shows what speaks for this class. Only classes that all chosen models know.",
    )
    keep = st.toggle(
        "Keep a small picture in the history",
        key="keep",
        bind="query-params",
        help="Off: an hour after the answer nothing is left of the image. On: a picture of 128 pixels and the "
        "SHA-256 of the file stay in the history, for questions from now on.",
    )
    return Wish(method, None if target == ANY else target, keep)


def choose_look() -> Look:
    """How answers are drawn: changing this asks nobody."""
    defaults = PredictOptions()
    left, right = st.columns([3, 2])
    strength = left.slider(
        "Strength of the map", 0.0, 1.0, defaults.strength, 0.05, key="strength", bind="query-params"
    )
    colour_map = right.selectbox(
        "Colours",
        list(COLOUR_MAPS),
        index=list(COLOUR_MAPS).index(COLOUR_MAP),
        format_func=COLOUR_MAPS.__getitem__,
        key="colours",
        bind="query-params",
        help="All four rise evenly in lightness, so that they read in grey and with any colour vision.",
    )
    return Look(strength, colour_map)


def ask(models: Sequence[ModelView]) -> None:
    left, right = st.columns(2, gap="large")
    with right:
        chosen = choose_models(models)
    with left:
        images = choose_images(chosen)
    if not chosen:
        st.info("Choose a model.")
        return
    with right:
        wish, look = choose_wish(chosen), choose_look()
    linked = batch_of_address()
    if images:
        batch, shown = ask_all(images, chosen, wish)
        st.query_params["batch"] = str(batch)
    elif linked is not None:
        shown = of_batch(linked)
        if not shown:
            empty(
                "Nothing is left of this link", "The predictions it names were deleted. Choose images above."
            )
            return
        st.info(
            "From the history. To ask other models or for another map, choose the images again.",
            icon=":material/history:",
        )
    else:
        empty(
            "No image yet",
            "Drop photographs above, use the camera, or take samples. The probabilities, and the map of what speaks "
            "for a class, come here.",
            icon=":material/image_search:",
        )
        return
    st.header("Answers", anchor=False)
    with_engagement = bool(images) and st.toggle(
        "Expected engagement",
        key="engagement",
        bind="query-params",
        help="Which comments and reactions a pretrained model expects of each image.",
    )
    pretrained = choose_pretrained() if with_engagement else None
    known = {model.id: model for model in models}
    for image in shown:
        with by_itself(image.name):
            answers_of_image(image, known, look, may_label=True)
        if pretrained is not None and image.image is not None:
            with st.container(border=True, key=f"engagement-{image.position}"), by_itself(image.name):
                expected_engagement(image.image, pretrained, key=str(image.position))
    api_calls(shown, look)


def api_calls(shown: Sequence[Shown], look: Look) -> None:
    """What is on screen, for a shell and for Python."""
    answers = {
        (image.position, model_id): (image, answer)
        for image in shown
        for model_id, answer in image.answers.items()
        if isinstance(answer, PredictionView)
    }
    if not answers:
        return
    with st.expander("The same from a shell or from Python", icon=":material/terminal:"):

        def title(place: tuple[int, UUID]) -> str:
            image, answer = answers[place]
            return f"{place[0] + 1}. {image.name}, {answer.model.name}"

        place = st.selectbox("Question", list(answers), format_func=title) if len(answers) > 1 else None
        image, answer = answers[place or next(iter(answers))]
        asked = Question(
            url=public_api_url(),
            file=image.image.name if image.image else "image.jpg",
            model_id=answer.model.id,
            method=answer.method,
            target_class=answer.target_class,
            strength=look.strength,
            colour_map=look.colour_map,
            sample=image.image.sample if image.image else None,
        )
        st.markdown(f"Both take the token from `{TOKEN}`; the page Settings makes one.")
        shell, python = st.tabs(["curl", "Python"])
        shell.code(curl_call(asked), language="bash", wrap_lines=True)
        python.code(python_call(asked), language="python", wrap_lines=True)


page_title("Predict", "Ask models about images, see where they look, and say whether they are right.")
with show_errors():
    models = client().models()
    if not models:
        empty(
            "No model is registered yet",
            "Run the sample recipe, or register a succeeded evaluation as a model.",
            page="home",
            label="Try it with sample data",
        )
        st.stop()
    if not can_edit():
        st.info("Your role only reads. Ask an admin for the role editor, which may predict.")
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
        history(models, may_edit=True)
    elif view == "Labelled set":
        labelled_set()
    else:
        ask(models)
