"""Cache of prediction ids, so that identical requests are answered without a worker."""

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
    """The ids of the most recent predictions of this process, by ``request_key``. Thread-safe.

    Only digests and ids are cached: results stay in their rows, so that deleted or expired results are never returned.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._ids: LRUCache[str, UUID] = LRUCache(size)
        self._lock = threading.Lock()

    def get(self, key: str) -> UUID | None:
        """Return the id of the prediction for this key, or None."""
        with self._lock:
            return self._ids.get(key)

    def put(self, key: str, prediction_id: UUID) -> None:
        """Cache the id of a prediction; the least recently used id is evicted."""
        with self._lock:
            self._ids[key] = prediction_id
