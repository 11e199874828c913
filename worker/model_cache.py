"""Models stay in memory as long as there is room for them."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

log = logging.getLogger("vise.loaded")


class Sized(Protocol):
    """What can be held: ``nbytes`` is what it takes."""

    nbytes: int


T = TypeVar("T", bound=Sized)


class Loaded:
    """The models used last. The newest stays however large it is."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Sized] = OrderedDict()
        # Held while loading too: two threads that want the same model load it once.
        self._guard = threading.Lock()

    def get(self, key: str, load: Callable[[], T], most: int) -> T:
        """The model under this key, loaded where it is not held: then others go until all is at most ``most`` bytes.

        The same key must always be of the same kind of model. Raises what ``load`` raises.
        """
        with self._guard:
            if key not in self._held:
                self._held[key] = load()
                while self.nbytes > most and len(self._held) > 1:
                    dropped, model = self._held.popitem(last=False)
                    log.info("dropped %s, %d bytes", dropped[:12], model.nbytes)
            self._held.move_to_end(key)
            found: T = self._held[key]  # type: ignore[assignment]
            return found

    @property
    def nbytes(self) -> int:
        """Of all that is held."""
        return sum(model.nbytes for model in self._held.values())

    def keys(self) -> list[str]:
        """The least used first."""
        return list(self._held)
