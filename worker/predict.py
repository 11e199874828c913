"""The prediction service: models stay loaded; every upload gets an answer or a sentence."""

from __future__ import annotations

import io
import logging
import shutil
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backend.store import artifacts, predictions
from vise_core.errors import BadInput

from .context import Context, context

if TYPE_CHECKING:
    from vise_core.predict import Predictor

log = logging.getLogger("vise.predict")
KEEP_LOADED = 3
MAX_PIXELS = 50_000_000

_loaded: OrderedDict[str, Predictor] = OrderedDict()
_loading = threading.Lock()


def answer(prediction_id: UUID) -> None:
    """Answer one prediction; one that was answered already is left alone."""
    here = context()
    with here.sessions.begin() as db:
        work = predictions.work(db, prediction_id)
    if work is None:
        return
    clock = time.perf_counter()
    try:
        from vise_core.posts.images import open_image

        image = open_image(work.image, max_pixels=MAX_PIXELS)
        found = predictor(here, work.sha256, work.manifest).predict(image, work.options)
        png = io.BytesIO()
        found.overlay.save(png, "PNG")
    except BadInput as error:
        log.info("prediction %s: %s", prediction_id, error)
        with here.sessions.begin() as db:
            predictions.fail(db, prediction_id, str(error))
        return
    except Exception:
        log.exception("prediction %s", prediction_id)
        with here.sessions.begin() as db:
            predictions.fail(
                db, prediction_id, "the predictor failed on this image; the worker's log says why"
            )
        return
    with here.sessions.begin() as db:
        predictions.answer(
            db,
            prediction_id,
            predicted=found.predicted,
            target=found.target,
            probabilities=found.probabilities,
            overlay=png.getvalue(),
            milliseconds=1000 * (time.perf_counter() - clock),
        )


def predictor(here: Context, sha256: str, manifest: list[dict[str, Any]]) -> Predictor:
    """The predictor with this content, loaded once; the least used is dropped first."""
    with _loading:
        if sha256 not in _loaded:
            from vise_core.predict import Predictor

            folder = here.settings.workspaces.resolve() / "predictors" / here.name / sha256
            try:
                _loaded[sha256] = Predictor.load(artifacts.materialise(here.storage, manifest, True, folder))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            while len(_loaded) > KEEP_LOADED:
                _loaded.popitem(last=False)
        _loaded.move_to_end(sha256)
        return _loaded[sha256]
