"""The prediction service: loads models, and finishes each queued prediction with a result or an error message."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.store.errors import in_words
from backend.store.registry import artifacts
from backend.store.registry.storage_away import StorageAway
from backend.store.serving import engagement, predictions, uploads
from backend.store.upkeep.workspaces import COPIES
from vise_client.schemas.engagement import EngagementResult
from vise_core.errors import BadInput

from .batches import Batcher
from .context import Context, get_context
from .model_cache import ModelCache, Sized

if TYPE_CHECKING:
    from PIL import Image

    from vise_core.predict import EngagementPredictor, Prediction, Predictor
    from vise_core.predict.predictor import PreparedImage

T = TypeVar("T", bound=Sized)
Request = TypeVar("Request", covariant=True)

log = logging.getLogger("vise.predict")
BATCH = 8
"""Images in one forward pass at most. A processor gains nothing from more."""
CONCURRENCY = 2 * BATCH
"""Predictions that a worker claims at a time: while one batch is computed, the next is decoded."""
DECODING = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))
"""Limits how many images are decoded and encoded at a time to half of the cores; the network computes with the rest."""
COSTLY = threading.BoundedSemaphore(4)
"""Limits how many images that helper processes decode are in memory; the other images do not wait for these."""
THUMBNAIL = 128

_batcher: Batcher[PreparedImage, Prediction] = Batcher(BATCH)


def predict(prediction_id: UUID, stopping: threading.Event) -> None:
    """Claim and finish one prediction; do nothing if it was claimed before.

    Once ``stopping`` is set, a prediction that waits for the database or the storage is left to another worker.
    """
    context = get_context()
    request = _claim(context, prediction_id, predictions.claim, stopping)
    if request is None:
        return

    def run() -> Callable[[Session], None]:
        result = _predict(context, request)
        return lambda db: predictions.finish(db, prediction_id, result)

    _respond(context, prediction_id, request.upload, run, predictions, stopping)


def predict_engagement(engagement_id: UUID, stopping: threading.Event) -> None:
    """Finish one prediction of engagement as ``predict`` does; do nothing if it is finished already."""
    context = get_context()
    request = _claim(context, engagement_id, engagement.claim, stopping)
    if request is None:
        return

    def run() -> Callable[[Session], None]:
        start = time.perf_counter()
        upload = _read_upload(context, request.upload)
        prediction = engagement_predictor(context, request).predict(upload, request.options)
        result = EngagementResult.model_validate(asdict(prediction))
        milliseconds = 1000 * (time.perf_counter() - start)
        return lambda db: engagement.finish(db, engagement_id, result, milliseconds)

    _respond(context, engagement_id, request.upload, run, engagement, stopping)


class _Claims(Protocol[Request]):
    def __call__(self, db: Session, row_id: UUID, /, worker: str, *, again: bool) -> Request | None: ...


class _Serving(Protocol):
    """The functions of a room of the store that are the same for both kinds of prediction."""

    def state(self, db: Session, row_id: UUID, /) -> str | None: ...

    def fail(self, db: Session, row_id: UUID, /, error: str) -> None: ...


def _claim(
    context: Context, row_id: UUID, claim: _Claims[Request], stopping: threading.Event
) -> Request | None:
    """Claim a row. While the database is away this thread waits, so that the worker fetches fewer messages."""
    claims: list[Request | None] = []
    # The acknowledgement of an earlier attempt may have been lost.
    context.write(lambda db: claims.append(claim(db, row_id, context.name, again=bool(claims))), stopping)
    return claims[-1]


def predictor(context: Context, sha256: str, manifest: list[dict[str, Any]]) -> Predictor:
    """Return the predictor with this content, from the cache if it is loaded."""

    def load(folder: Path) -> Predictor:
        from vise_core.predict import Predictor

        return Predictor.load(artifacts.materialise(context.storage, manifest, True, folder))

    return _cached(context, sha256, load)


def engagement_predictor(context: Context, request: engagement.EngagementRequest) -> EngagementPredictor:
    """Return the checkpoint with its heads and its clusters' descriptions, from the cache if it is loaded."""

    def load(folder: Path) -> EngagementPredictor:
        from vise_core.predict import EngagementPredictor

        checkpoint = artifacts.materialise(
            context.storage, request.checkpoint.manifest, True, folder / "checkpoint"
        )
        inspection = None
        if request.inspection is not None:
            inspection = artifacts.materialise(
                context.storage, request.inspection.manifest, False, folder / "inspection"
            )
        return EngagementPredictor.load(checkpoint, inspection)

    key = request.checkpoint.sha256 + (request.inspection.sha256 if request.inspection else "")
    return _cached(context, hashlib.sha256(key.encode()).hexdigest(), load)


@cache
def _model_cache(max_bytes: int) -> ModelCache:
    """The models of both kinds that this process has loaded."""
    return ModelCache(max_bytes)


def clear_models(context: Context) -> None:
    """Drop the loaded models: what they show of posts may have been removed since."""
    _model_cache(context.settings.loaded_models_bytes).clear()


def clear_copies(context: Context) -> None:
    """Remove copies that an earlier process of this worker's name left when it was killed; they may be incomplete."""
    shutil.rmtree(_copies(context), ignore_errors=True)


def _copies(context: Context) -> Path:
    return context.settings.workspaces.resolve() / COPIES / context.name


def _cached(context: Context, key: str, load: Callable[[Path], T]) -> T:
    """Return the model under this key, loaded from a temporary folder if it is not cached."""

    def fetch() -> T:
        folder = _copies(context) / key
        try:
            return load(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return _model_cache(context.settings.loaded_models_bytes).get(key, fetch)


def _predict(context: Context, request: predictions.PredictionRequest) -> predictions.PredictionResult:
    start = time.perf_counter()
    from vise_core.predict import encode_heat, encode_png

    upload = _read_upload(context, request.upload)
    model = predictor(context, request.sha256, request.manifest)
    with _its_turn(upload) as source:
        image = model.prepare(source, request.options)
        output = _batcher.submit(model.predict_prepared, image)
        # While the network computes. Encoded again, so that no metadata of the upload is kept.
        picture = image.jpeg()
        thumbnail = image.jpeg(THUMBNAIL) if request.keep else None
    prediction = output.result()
    return predictions.PredictionResult(
        predicted=prediction.predicted,
        target=prediction.target,
        probabilities=prediction.probabilities,
        overlay=encode_png(prediction.overlay) if request.options.overlay else predictions.NO_OVERLAY,
        heat=encode_heat(prediction.heat),
        region=[float(side) for side in prediction.seen],
        picture=picture,
        thumbnail=thumbnail,
        sha256=hashlib.sha256(upload).hexdigest() if request.keep else None,
        milliseconds=1000 * (time.perf_counter() - start),
    )


def _read_upload(context: Context, key: str | None) -> bytes:
    """Return the uploaded file. Raises BadInput if it was deleted."""
    data = uploads.read(context.storage, key) if key is not None else None
    if data is None:
        raise BadInput("the upload is gone; send the image again")
    return data


@contextmanager
def _its_turn(upload: bytes) -> Iterator[bytes | Image.Image]:
    """Wait until the image may be decoded, and yield it; an image that is decoded elsewhere is yielded decoded."""
    from vise_core.posts.images.decode import open_image
    from vise_core.posts.images.ordinary import is_ordinary

    if is_ordinary(upload):
        with DECODING:
            yield upload
    else:
        with COSTLY:
            image = open_image(upload)
            with DECODING:
                yield image


def _respond(
    context: Context,
    row_id: UUID,
    upload: str | None,
    run: Callable[[], Callable[[Session], None]],
    serving: _Serving,
    stopping: threading.Event,
) -> None:
    """Run a prediction, write its result or why there is none, then delete the upload.

    While the storage does not respond the prediction stays queued, and this thread waits.
    """
    error: str | None = None
    try:
        write = context.store(run, lambda _: _has_ended(context, row_id, serving), stopping)
    except StorageAway as passes:
        log.warning("%s is left to another worker: %s", row_id, passes)
        return
    except BadInput as reason:
        log.info("%s: %s", row_id, reason)
        error = str(reason)
    except Exception:
        log.exception("%s", row_id)
        error = "the predictor failed on this image; the worker's log says why"
    context.write(write if error is None else lambda db: serving.fail(db, row_id, error), stopping)
    if upload is not None:
        uploads.drop(context.storage, upload)


def _has_ended(context: Context, row_id: UUID, serving: _Serving) -> bool:
    """Return whether a prediction has been deleted, or has failed as it was queued for too long."""
    try:
        with context.sessions() as db:
            return serving.state(db, row_id) != "queued"
    except SQLAlchemyError as error:
        log.warning("the database does not respond: %s", in_words(error))
        return False
