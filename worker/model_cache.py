"""Cache of loaded models, bounded by memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from cachetools import LRUCache


class Sized(Protocol):
    """An object that can be cached: ``nbytes`` is its size in memory."""

    nbytes: int


T = TypeVar("T", bound=Sized)


class ModelCache:
    """The most recently used models, at most ``max_bytes`` together. The newest stays even if it is larger."""

    def __init__(self, max_bytes: int) -> None:
        size = max(1, max_bytes)
        # A model that is larger than the cache counts as large as the cache: it evicts all others.
        self._models: LRUCache[str, Sized] = LRUCache(size, lambda model: min(model.nbytes, size))
        self._lock = threading.Lock()

    def get(self, key: str, load: Callable[[], T]) -> T:
        """Return the model under this key, loaded if it is not cached.

        The lock is held while a model loads, so that two threads never load the same one. A key must always stand for
        the same kind of model. Raises any error of ``load``, and then caches nothing.
        """
        with self._lock:
            if key not in self._models:
                self._models[key] = load()
            model: T = self._models[key]  # type: ignore[assignment]
            return model

    def keys(self) -> set[str]:
        """Return the keys of the cached models."""
        with self._lock:
            return set(self._models)

    def clear(self) -> None:
        """Drop all models; the next requests load theirs again."""
        with self._lock:
            self._models.clear()
