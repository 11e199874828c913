"""Comment features as plug-ins: fitted once on the cluster subset, saved with the clusterer, the same ever after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vise_core.engagement.clustering.kmeans import Rows
from vise_core.errors import BadInput
from vise_core.specs.cluster import SentenceSpec, TfidfSpec

from .sentence import SentenceExtractor
from .tfidf import TfidfExtractor

Between = Callable[[int], None]


class Extractor(Protocol):
    """From comments to rows that k-means can take. A comment's row depends on that comment only.

    Attributes
    ----------
    dim: columns of a row.
    terms: the word that each column stands for, or None where columns are no words.
    """

    @property
    def dim(self) -> int: ...

    @property
    def terms(self) -> list[str] | None: ...

    def known(
        self, comments: Sequence[str], between: Between | None = None
    ) -> tuple[npt.NDArray[np.int64], Rows]:
        """(which comments hold something that the features know (m,), their rows (m, dim) float32, L2 norm 1).

        The others get no label. ``between`` is called with how many are done, where that takes long.
        """

    def save(self, folder: Path) -> None:
        """Write all that ``load`` needs beside the clusterer's other files."""


def fit_extractor(
    comments: Sequence[str], spec: TfidfSpec | SentenceSpec, text_encoder: Path | None, device: str = "auto"
) -> Extractor:
    """Features fitted on the cluster subset's comments; ``device`` is where sentences are encoded. Raises BadInput, BadCheckpoint, MissingInput."""
    if isinstance(spec, SentenceSpec):
        return SentenceExtractor.fit(spec, text_encoder, device)
    if text_encoder is not None:
        raise BadInput("text_encoder: comments.extractor.kind is tfidf, which takes none; set it to sentence")
    return TfidfExtractor.fit(comments, spec)


def load_extractor(folder: Path, spec: TfidfSpec | SentenceSpec, device: str) -> Extractor:
    """What ``save`` wrote. Raises BadCheckpoint where it is not what it was then."""
    if isinstance(spec, SentenceSpec):
        return SentenceExtractor.load(folder, spec, device)
    return TfidfExtractor.load(folder, spec)
