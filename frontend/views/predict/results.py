"""Answers beside each other: an image, then what each model says of it and where it looks (as in Figs. 7, 8)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import streamlit as st

from frontend.charts.heat import heat_figure, read_heat, where_strongest
from frontend.charts.palette import is_dark
from frontend.charts.shares import share_bars
from frontend.components.image_preview import Drawn, drawn
from frontend.formatting import headline, plain
from frontend.session import client, show_errors
from frontend.style import synthetic_badge
from vise_client.schemas.models import ModelView
from vise_client.schemas.predictions import FeedbackCreate, PredictionView
from vise_core.specs.explain import CAM_METHODS, CLASS_FREE_METHODS, ColourMap

from .requests import Shown, forget_answer, picture_of

STATIC = {"displayModeBar": False}
ACROSS = 4
CONTENT = 900
"""About how wide a page's content is on a laptop, pixels, without what lies between columns."""


@dataclass(frozen=True)
class Look:
    """How heat is drawn."""

    strength: float
    colour_map: ColourMap


def answers_of_image(shown: Shown, models: Mapping[UUID, ModelView], look: Look, *, may_label: bool) -> None:
    """One image with a panel for each model that was asked."""
    with st.container(border=True, key=f"image-{shown.position}"):
        truth = shown.image.truth if shown.image else None
        mark = synthetic_badge(shown.image is not None and shown.image.synthetic)
        st.subheader(f"{shown.position + 1}. {plain(shown.name)}", anchor=False)
        if mark or truth:
            st.markdown(f"{mark} {f'Generated as **{truth}**.' if truth else ''}".strip())
        columns = min(ACROSS, max(2, len(shown.answers) + 1))
        panels: list[Callable[[], None]] = [lambda: _image_alone(shown)]
        for model_id, answer in shown.answers.items():
            panels.append(_panel(models.get(model_id), answer, truth, look, may_label, CONTENT // columns))
        for start in range(0, len(panels), ACROSS):
            row = panels[start : start + ACROSS]
            # Always as many columns, so that panels of all rows and images are of one size.
            for column, draw in zip(st.columns(columns), row, strict=False):
                with column:
                    draw()


def _panel(
    model: ModelView | None,
    answer: PredictionView | str,
    truth: str | None,
    look: Look,
    may_label: bool,
    width: int,
) -> Callable[[], None]:
    def draw() -> None:
        if isinstance(answer, str):
            if model is not None:
                st.markdown(f"**{plain(model.name)}**")
            st.warning(answer)
            return
        _model_answer(answer, truth, look, may_label, width)

    return draw


def _image_alone(shown: Shown) -> None:
    st.markdown("**The image**")
    found = Drawn(shown.picture or _first_picture(shown))
    if found.picture is None and shown.image is not None:
        found = drawn(shown.image.data)
    if found.picture is not None:
        st.image(found.picture, width="stretch", alt=f"{shown.name}, as it was given")
    elif shown.image is not None:
        st.caption(f":material/broken_image: No picture: {plain(found.reason)}")
    else:
        st.caption(":material/visibility_off: Forgotten. Its answers stay.")


def _first_picture(shown: Shown) -> bytes | None:
    found = (picture_of(answer) for answer in shown.answers.values() if isinstance(answer, PredictionView))
    return next((picture for picture in found if picture is not None), None)


def _model_answer(answer: PredictionView, truth: str | None, look: Look, may_label: bool, width: int) -> None:
    model = answer.model
    st.markdown(f"**{plain(model.name)}**{synthetic_badge(model.synthetic)}")
    with show_errors():
        picture = picture_of(answer)
        if answer.heat_png and answer.region and picture is not None:
            heat = read_heat(base64.b64decode(answer.heat_png))
            place = where_strongest(heat)
            about = "what the model sees" if answer.method in CLASS_FREE_METHODS else f"“{answer.target}”"
            st.plotly_chart(
                heat_figure(
                    picture,
                    heat,
                    answer.region,
                    strength=look.strength,
                    colour_map=look.colour_map,
                    width=width,
                ),
                key=f"heat-{answer.id}",
                config=STATIC,
                alt=f"{CAM_METHODS[answer.method]} of {model.name} for {about}: strongest at the {place}",
            )
            st.caption(f"{CAM_METHODS[answer.method]} for {about}, strongest at the {place}.")
    predicted = answer.predicted or ""
    known = answer.feedback or truth
    st.markdown(f"**{predicted}**, {answer.probabilities[predicted]:.0%}{_verdict(predicted, known)}")
    st.plotly_chart(
        share_bars(answer.probabilities, marked=predicted, dark=is_dark()),
        key=f"bars-{answer.id}",
        config=STATIC,
        alt="Probabilities: " + ", ".join(f"{n} {p:.0%}" for n, p in _ranked(answer.probabilities)),
    )
    took = f"Answered in {answer.milliseconds:.0f} ms. " if answer.milliseconds is not None else ""
    st.caption(f"{took}{headline(model.headline)}")
    if may_label:
        _feedback(answer, truth)


def _verdict(predicted: str, known: str | None) -> str:
    """Right or wrong, in a colour and in words, where it is known."""
    if known is None:
        return ""
    if known == predicted:
        return "  \n:green[:material/check: right]"
    return f"  \n:red[:material/close: wrong, it is {plain(known)}]"


def _feedback(answer: PredictionView, truth: str | None) -> None:
    if answer.feedback is not None:
        st.markdown(f":material/label: labelled **{plain(answer.feedback)}**; the picture is kept")
        if st.button("Take the label back", key=f"back-{answer.id}", icon=":material/undo:"):
            with show_errors():
                forget_answer(answer.id, client().remove_feedback(answer.id))
                st.rerun()
        return
    if answer.pictured_until is None:
        return
    with st.popover("Right? Wrong?", icon=":material/rate_review:", width="stretch"):
        st.markdown(
            "Say what the image is. Its picture is then **kept** in the labelled set, which every editor can export. "
            f"Without a label it is forgotten at {answer.pictured_until:%H:%M} UTC."
        )
        classes: Sequence[str] = answer.model.classes
        suggested = truth if truth in classes else answer.predicted
        # A form: choosing alone must not run the page again, which would close the popover.
        with st.form(f"feedback-{answer.id}", border=False):
            label = st.selectbox(
                "It is",
                classes,
                index=classes.index(suggested) if suggested in classes else 0,
                key=f"label-{answer.id}",
            )
            given = st.form_submit_button("Keep with this label", type="primary")
        if given and label:
            with show_errors():
                forget_answer(answer.id, client().give_feedback(answer.id, FeedbackCreate(label=label)))
                st.rerun()


def _ranked(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(probabilities.items(), key=lambda item: -item[1])
