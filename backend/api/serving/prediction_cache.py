"""Which question was asked before, so that its answer need not be found again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from uuid import UUID

from vise_core.specs.models.predict import PredictOptions

MOST = 10_000


def question_key(image: bytes, model_sha256: str, options: PredictOptions, keep: bool) -> str:
    """Equal for what has the same answer: the image's and the model's content, the options, what is kept."""
    parts = (hashlib.sha256(image).hexdigest(), model_sha256, options.model_dump_json(), str(keep))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Repeats:
    """The last questions that this process was asked, by ``question_key``, and the row of each.

    Digests and ids only: the answer itself lies in its row, so that what is deleted or forgotten there is gone.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rows: OrderedDict[str, UUID] = OrderedDict()
        self._guard = threading.Lock()

    def find(self, key: str) -> UUID | None:
        with self._guard:
            return self._rows.get(key)

    def note(self, key: str, prediction_id: UUID) -> None:
        with self._guard:
            self._rows[key] = prediction_id
            self._rows.move_to_end(key)
            while len(self._rows) > self._most:
                self._rows.popitem(last=False)
