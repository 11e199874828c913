"""The prediction service: models stay loaded; every upload gets an answer or a sentence."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from backend.store.registry import artifacts
from backend.store.serving import engagement, predictions, uploads
from vise_client.schemas.engagement import EngagementAnswer
from vise_core.errors import BadInput

from .batches import Batches
from .context import Context, context
from .model_cache import Loaded, Sized

if TYPE_CHECKING:
    from PIL import Image

    from vise_core.predict import EngagementPredictor, Prediction, Predictor
    from vise_core.predict.predictor import Question

T = TypeVar("T", bound=Sized)

log = logging.getLogger("vise.predict")
BATCH = 8
"""Images in one forward pass at most. A processor gains nothing from more."""
AT_ONCE = 2 * BATCH
"""Questions that a worker takes up at a time: while one batch is computed, the next is decoded."""
DECODING = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))
"""Images that are decoded and encoded at a time. The network computes with the other half of the cores, and whatever
else wants them only keeps it waiting."""
MAX_PIXELS = 50_000_000
THUMBNAIL = 128

_loaded = Loaded()
"""Models of both kinds, of this process."""
_batches: Batches[Question, Prediction] = Batches(BATCH)


def answer(prediction_id: UUID) -> None:
    """Answer one prediction; one that was answered already is left alone."""
    here = context()
    with here.sessions.begin() as db:
        work = predictions.work(db, prediction_id)
    if work is None:
        return

    def find() -> Callable[[Session], None]:
        found = _predict(here, work)
        return lambda db: predictions.answer(db, prediction_id, found)

    _carry_out(here, prediction_id, work.upload, find, predictions.fail)


def answer_engagement(engagement_id: UUID) -> None:
    """Answer one question about expected engagement."""
    here = context()
    with here.sessions.begin() as db:
        work = engagement.work(db, engagement_id)
    if work is None:
        return

    def find() -> Callable[[Session], None]:
        clock = time.perf_counter()
        image = _decoded(_sent(here, work.upload))
        found = EngagementAnswer.model_validate(
            asdict(engagement_predictor(here, work).predict(image, work.options))
        )
        took = 1000 * (time.perf_counter() - clock)
        return lambda db: engagement.answer(db, engagement_id, found, took)

    _carry_out(here, engagement_id, work.upload, find, engagement.fail)


def predictor(here: Context, sha256: str, manifest: list[dict[str, Any]]) -> Predictor:
    """The predictor with this content, loaded once; the least used is dropped first."""

    def load(folder: Path) -> Predictor:
        from vise_core.predict import Predictor

        return Predictor.load(artifacts.materialise(here.storage, manifest, True, folder))

    return _kept(here, sha256, load)


def engagement_predictor(here: Context, work: engagement.Work) -> EngagementPredictor:
    """The checkpoint with its heads and what its clusters mean, loaded once."""

    def load(folder: Path) -> EngagementPredictor:
        from vise_core.predict import EngagementPredictor

        checkpoint = artifacts.materialise(
            here.storage, work.checkpoint.manifest, True, folder / "checkpoint"
        )
        about = None
        if work.inspection is not None:
            about = artifacts.materialise(here.storage, work.inspection.manifest, False, folder / "about")
        return EngagementPredictor.load(checkpoint, about)

    key = work.checkpoint.sha256 + (work.inspection.sha256 if work.inspection else "")
    return _kept(here, hashlib.sha256(key.encode()).hexdigest(), load)


def _kept(here: Context, key: str, load: Callable[[Path], T]) -> T:
    def fetch() -> T:
        folder = here.settings.workspaces.resolve() / "predictors" / here.name / key
        try:
            return load(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return _loaded.get(key, fetch, here.settings.loaded_models_bytes)


def _predict(here: Context, work: predictions.Work) -> predictions.Answer:
    clock = time.perf_counter()
    from vise_core.posts.images.decode import encode_jpeg
    from vise_core.predict import encode_heat
    from vise_core.predict.predictor import for_eyes

    sent = _sent(here, work.upload)
    model = predictor(here, work.sha256, work.manifest)
    with DECODING:
        image = _decoded(sent)
        promised = _batches.ask(model.answer, model.ask(image, work.options))
        # While the network computes. Encoded anew: what the upload says of the place and the camera is not kept.
        picture = encode_jpeg(for_eyes(image))
        thumbnail = encode_jpeg(for_eyes(image, THUMBNAIL)) if work.keep else None
    found = promised.result()
    return predictions.Answer(
        predicted=found.predicted,
        target=found.target,
        probabilities=found.probabilities,
        overlay=_png(found.overlay) if work.options.overlay else predictions.NOT_DRAWN,
        heat=encode_heat(found.heat),
        region=[float(side) for side in found.seen],
        picture=picture,
        thumbnail=thumbnail,
        sha256=hashlib.sha256(sent).hexdigest() if work.keep else None,
        milliseconds=1000 * (time.perf_counter() - clock),
    )


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # A photograph hardly gets smaller by trying harder: a tenth, for six times the time.
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _sent(here: Context, upload: str | None) -> bytes:
    """The image as it was uploaded. Raises BadInput where it is gone."""
    found = uploads.read(here.storage, upload) if upload is not None else None
    if found is None:
        raise BadInput("the upload is gone; send the image again")
    return found


def _decoded(image: bytes) -> Image.Image:
    from vise_core.posts.images.decode import open_image

    return open_image(image, max_pixels=MAX_PIXELS)


def _carry_out(
    here: Context,
    asked: UUID,
    upload: str | None,
    find: Callable[[], Callable[[Session], None]],
    fail: Callable[[Session, UUID, str], None],
) -> None:
    """Find the answer and write it, or the sentence why there is none; then drop the upload."""
    try:
        write = find()
    except BadInput as error:
        log.info("%s: %s", asked, error)
        write = partial(_told, fail, asked, str(error))
    except Exception:
        log.exception("%s", asked)
        write = partial(_told, fail, asked, "the predictor failed on this image; the worker's log says why")
    with here.sessions.begin() as db:
        write(db)
    if upload is not None:
        uploads.drop(here.storage, upload)


def _told(fail: Callable[[Session, UUID, str], None], asked: UUID, sentence: str, db: Session) -> None:
    fail(db, asked, sentence)
