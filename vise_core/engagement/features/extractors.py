"""Comment feature extractors: fitted once on the cluster subset, then frozen and saved with the clusterer."""

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

OnProgress = Callable[[int], None]
"""Called with the number of comments done so far; may raise to stop."""


class Extractor(Protocol):
    """Computes features of comments for k-means. A comment's features depend on that comment only.

    Attributes
    ----------
    dim: number of features.
    terms: the word of each feature, or None if the features are not words.
    """

    @property
    def dim(self) -> int: ...

    @property
    def terms(self) -> list[str] | None: ...

    def known(
        self, comments: Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[npt.NDArray[np.int64], Rows]:
        """Return (indices (m,) of the comments that have features, their features (m, dim) float32 of L2 norm 1).

        A comment without a word or token of the vocabulary has no features and gets no label.
        """

    def save(self, folder: Path) -> None:
        """Write the extractor's files into the clusterer's folder."""


def fit_extractor(
    comments: Sequence[str], spec: TfidfSpec | SentenceSpec, text_encoder: Path | None, device: str = "auto"
) -> Extractor:
    """Fit the spec's extractor on the comments of the cluster subset; sentences are encoded on ``device``.

    Raises BadInput for an encoder that TF-IDF does not take, BadCheckpoint for an encoder whose files are damaged, and
    MissingInput if none is given and the packaged one is not installed.
    """
    if isinstance(spec, SentenceSpec):
        return SentenceExtractor.fit(spec, text_encoder, device)
    if text_encoder is not None:
        raise BadInput(
            "text_encoder: the extractor tfidf takes no encoder; remove it, or set comments.extractor.kind to sentence"
        )
    return TfidfExtractor.fit(comments, spec)


def load_extractor(folder: Path, spec: TfidfSpec | SentenceSpec, device: str) -> Extractor:
    """Load the extractor from the clusterer's folder. Raises BadCheckpoint if its files are missing or changed."""
    if isinstance(spec, SentenceSpec):
        return SentenceExtractor.load(folder, spec, device)
    return TfidfExtractor.load(folder, spec)
