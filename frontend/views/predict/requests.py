"""Ask several models about several images at once, each question only once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

import streamlit as st

from frontend.components.image_source import ChosenImage
from frontend.session import client
from vise_client.errors import ApiError, ClientError
from vise_client.schemas.models import ModelView
from vise_client.schemas.predictions import PredictionView
from vise_core.specs.explain import CamMethod

AT_ONCE = 4
KEPT = 200
"""Answers that this browser's session holds; what was dropped is asked of the history again."""


@dataclass(frozen=True)
class Wish:
    """What is asked of every model about every image."""

    method: CamMethod
    target_class: str | None
    keep: bool


@dataclass
class Shown:
    """One image and its answers by model; a sentence stands where there is no answer."""

    position: int
    name: str
    picture: bytes | None
    answers: dict[UUID, PredictionView | str]
    image: ChosenImage | None = None


def ask_all(
    images: Sequence[ChosenImage], models: Sequence[ModelView], wish: Wish
) -> tuple[UUID, list[Shown]]:
    """(batch, what to show). Questions that were answered before in this session are not asked again."""
    held: dict[tuple[object, ...], PredictionView] = st.session_state.setdefault("answers", {})
    batches: dict[tuple[str, ...], UUID] = st.session_state.setdefault("batches", {})
    batch = batches.setdefault(tuple(image.digest for image in images), uuid4())
    keys = {
        (position, model.id): (batch, position, model.id, wish.method, wish.target_class)
        for position in range(len(images))
        for model in models
    }
    missing = [place for place, key in keys.items() if key not in held]
    sentences: dict[tuple[int, UUID], str] = {}
    if missing:
        # Here, since threads know nothing of who is signed in.
        vise = client()
        asked: dict[tuple[int, UUID], Callable[[], PredictionView]] = {
            (position, model_id): partial(
                vise.predict,
                images[position].data,
                model_id=model_id,
                method=wish.method,
                target_class=wish.target_class,
                overlay=False,  # the page tints the picture itself
                batch=batch,
                position=position,
                keep=wish.keep,
                synthetic=images[position].synthetic,
            )
            for position, model_id in missing
        }
        for place, answer in _in_threads(asked):
            if isinstance(answer, PredictionView) and answer.state == "succeeded":
                held[keys[place]] = answer
            else:
                sentences[place] = answer if isinstance(answer, str) else _WAITING
        for old in list(held)[:-KEPT]:
            del held[old]
    shown = [
        Shown(
            position,
            image.name,
            None,
            {
                model.id: held.get(keys[position, model.id]) or sentences.get((position, model.id), _WAITING)
                for model in models
            },
            image,
        )
        for position, image in enumerate(images)
    ]
    return batch, shown


def of_batch(batch: UUID) -> list[Shown]:
    """What was asked under this link, as far as it is not forgotten."""
    rows = client().predictions(batch=batch, limit=100).items
    shown: dict[int, Shown] = {}
    for row in sorted(rows, key=lambda row: (row.position, row.id)):
        there = shown.setdefault(row.position, Shown(row.position, f"Image {row.position + 1}", None, {}))
        # The newest answer of each model.
        there.answers[row.model_id] = (
            client().prediction(row.id) if row.state == "succeeded" else row.error or _WAITING
        )
    return list(shown.values())


def picture_of(prediction: PredictionView) -> bytes | None:
    """The image as it is shown, or None once it is forgotten."""
    if prediction.pictured_until is None:
        return None
    try:
        return _picture(str(prediction.id))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def forget_answer(prediction_id: UUID, changed: PredictionView | None = None) -> None:
    """Put a changed answer in the place of the one this session holds, or drop it."""
    held: dict[tuple[object, ...], PredictionView] = st.session_state.get("answers", {})
    for key, answer in list(held.items()):
        if answer.id == prediction_id:
            if changed is None:
                del held[key]
            else:
                held[key] = changed


_WAITING = "No prediction worker has answered yet. Is one running? Load the page again in a moment."


@st.cache_data(ttl=600, show_spinner=False, max_entries=200)
def _picture(prediction_id: str) -> bytes:
    return client().prediction_picture(prediction_id)


def _in_threads(
    asked: dict[tuple[int, UUID], Callable[[], PredictionView]],
) -> list[tuple[tuple[int, UUID], PredictionView | str]]:
    done: list[tuple[tuple[int, UUID], PredictionView | str]] = []
    bar = st.progress(0.0, text=f"Asking: 0 of {len(asked)} answers")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(question): place for place, question in asked.items()}
        for future in as_completed(futures):
            try:
                done.append((futures[future], future.result()))
            except ApiError as error:
                done.append((futures[future], error.problem.detail or error.problem.title))
            except ClientError as error:
                done.append((futures[future], str(error)))
            bar.progress(len(done) / len(asked), text=f"Asking: {len(done)} of {len(asked)} answers")
    bar.empty()
    return done
