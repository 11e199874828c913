"""Prediction requests: each model for each image, several at once, and each only once in a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

import streamlit as st

from frontend.components.image_source import SelectedImage
from frontend.session import client
from vise_client.errors import ApiError, ClientError
from vise_client.schemas.models import ModelView
from vise_client.schemas.predictions import PredictionView
from vise_core.specs.explain import CamMethod

THREADS = 4
CACHED = 200
"""Predictions that the browser's session holds; the API's history has the others."""
PENDING = "No prediction worker has responded yet. Check the page Workers, then reload this page."

CacheKey = tuple[UUID, int, UUID, CamMethod, str | None]
"""Batch, position of the image, model, method and target class."""


@dataclass(frozen=True)
class RequestOptions:
    """The options that all requests share."""

    method: CamMethod
    target_class: str | None
    keep: bool


@dataclass
class ImageResult:
    """An image, and by model its prediction or the reason why there is none."""

    position: int
    name: str
    predictions: dict[UUID, PredictionView | str]
    image: SelectedImage | None = None


def predict_all(
    images: Sequence[SelectedImage], models: Sequence[ModelView], options: RequestOptions
) -> tuple[UUID, list[ImageResult]]:
    """Request what the session has not cached; returns the batch and the results in the order of the images."""
    cache = _cache()
    batches: dict[tuple[str, ...], UUID] = st.session_state.setdefault("prediction-batches", {})
    batch = batches.setdefault(tuple(image.digest for image in images), uuid4())
    keys: dict[tuple[int, UUID], CacheKey] = {
        (position, model.id): (batch, position, model.id, options.method, options.target_class)
        for position in range(len(images))
        for model in models
    }
    vise = client()  # Here, since threads do not know the signed-in user.
    requests: dict[tuple[int, UUID], Callable[[], PredictionView]] = {
        (position, model_id): partial(
            vise.predict,
            images[position].data,
            model_id=model_id,
            method=options.method,
            target_class=options.target_class,
            overlay=False,  # The page draws the heat map itself.
            batch=batch,
            position=position,
            keep=options.keep,
            synthetic=images[position].synthetic,
        )
        for (position, model_id), key in keys.items()
        if key not in cache
    }
    reasons: dict[tuple[int, UUID], str] = {}
    for place, response in _in_threads(requests).items():
        if isinstance(response, PredictionView) and response.state == "succeeded":
            cache[keys[place]] = response
        elif isinstance(response, str):
            reasons[place] = response
    results = [
        ImageResult(
            position,
            image.name,
            {
                model.id: cache.get(keys[position, model.id]) or reasons.get((position, model.id), PENDING)
                for model in models
            },
            image,
        )
        for position, image in enumerate(images)
    ]
    for oldest in list(cache)[:-CACHED]:
        del cache[oldest]
    return batch, results


def predictions_of_batch(batch: UUID) -> list[ImageResult]:
    """Return the newest prediction of each image and model of a batch, from the history."""
    rows = client().predictions(batch=batch, limit=100).items
    results: dict[int, ImageResult] = {}
    for row in sorted(rows, key=lambda row: (row.position, row.id)):
        result = results.setdefault(row.position, ImageResult(row.position, f"Image {row.position + 1}", {}))
        result.predictions[row.model_id] = (
            client().prediction(row.id) if row.state == "succeeded" else row.error or PENDING
        )
    return list(results.values())


def image_of(prediction: PredictionView) -> bytes | None:
    """Return the image of a prediction as a JPEG; None once it has been deleted."""
    if prediction.pictured_until is None:
        return None
    try:
        return _image(str(prediction.id))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def replace_cached(prediction_id: UUID, changed: PredictionView | None = None) -> None:
    """Replace a prediction in the session's cache, or drop it."""
    cache = _cache()
    for key, prediction in list(cache.items()):
        if prediction.id == prediction_id:
            if changed is None:
                del cache[key]
            else:
                cache[key] = changed


def _cache() -> dict[CacheKey, PredictionView]:
    cache: dict[CacheKey, PredictionView] = st.session_state.setdefault("prediction-cache", {})
    return cache


@st.cache_data(ttl=600, show_spinner=False, max_entries=200)
def _image(prediction_id: str) -> bytes:
    return client().prediction_picture(prediction_id)


def _in_threads(
    requests: dict[tuple[int, UUID], Callable[[], PredictionView]],
) -> dict[tuple[int, UUID], PredictionView | str]:
    """Send the requests with a progress bar; the response of each, or why it failed."""
    if not requests:
        return {}
    responses: dict[tuple[int, UUID], PredictionView | str] = {}
    bar = st.progress(0.0, text=f"0 of {len(requests)} predictions")
    with ThreadPoolExecutor(THREADS) as pool:
        futures = {pool.submit(request): place for place, request in requests.items()}
        for future in as_completed(futures):
            try:
                responses[futures[future]] = future.result()
            except ApiError as error:
                responses[futures[future]] = error.problem.detail or error.problem.title
            except ClientError as error:
                responses[futures[future]] = str(error)
            bar.progress(
                len(responses) / len(requests), text=f"{len(responses)} of {len(requests)} predictions"
            )
    bar.empty()
    return responses
