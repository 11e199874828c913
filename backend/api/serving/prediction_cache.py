"""Which prediction already answers a request, so that identical requests are answered without a worker."""

from __future__ import annotations

import hashlib
import threading
from uuid import UUID

from cachetools import LRUCache

from vise_core.specs.models.predict import PredictOptions


def request_key(image: bytes, model_sha256: str, options: PredictOptions, keep: bool) -> str:
    """Return a digest of all that the response depends on: image, model, options, and what is kept of it."""
    parts = (hashlib.sha256(image).hexdigest(), model_sha256, options.model_dump_json(), str(keep))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class PredictionCache:
    """The ids of the most recent predictions of this process, by ``request_key``. Safe to use from threads.

    Only digests and ids: the result stays in its row, so that what is deleted or has expired there is gone here too.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._ids: LRUCache[str, UUID] = LRUCache(size)
        self._lock = threading.Lock()

    def get(self, key: str) -> UUID | None:
        with self._lock:
            return self._ids.get(key)

    def put(self, key: str, prediction_id: UUID) -> None:
        with self._lock:
            self._ids[key] = prediction_id
