"""Sentence embeddings as comment features, which compare meanings instead of words (ours)."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import regex

from vise_core.device import pick_device
from vise_core.errors import BadCheckpoint
from vise_core.specs.cluster import SentenceSpec
from vise_core.text.files import copy_encoder, encoder_sha256, packaged_encoder, read_json
from vise_core.text.tokenize import redact

if TYPE_CHECKING:
    from vise_core.text.encoder import TextEncoder

FOLDER = "encoder"
FACTS = "encoder.json"
_EMOJI = regex.compile(r"\p{Extended_Pictographic}")


class SentenceExtractor:
    """L2-normalised embeddings of a frozen sentence encoder; nothing is fitted.

    The clusterer stores a copy of the encoder's files with their SHA-256, so that its labels do not depend on the
    folder or package that the encoder came from.

    Attributes
    ----------
    dim: length of an embedding. terms: None, since the features are not words.
    """

    terms: list[str] | None = None

    def __init__(self, folder: Path, sha256: str, spec: SentenceSpec, device: str = "auto") -> None:
        """Load the encoder of a folder; raises BadCheckpoint or BadInput as ``load_text_encoder`` does."""
        # Imported here, since labelling by words does not need torch.
        from vise_core.text.encoder import load_text_encoder

        self.sha256, self.spec, self._folder = sha256, spec, folder
        self._encoder: TextEncoder = load_text_encoder(folder).to(pick_device(device))
        self.dim = self._encoder.dim
        self._encoder.limit = min(self._encoder.limit, spec.max_tokens)

    @classmethod
    def fit(cls, spec: SentenceSpec, text_encoder: Path | None, device: str = "auto") -> SentenceExtractor:
        """Load the encoder of a folder, by default the packaged one.

        Raises BadCheckpoint if its files are missing or damaged, BadInput if ``transformers`` is not installed, and
        MissingInput if the packaged one is not.
        """
        folder = text_encoder or packaged_encoder()
        return cls(folder, encoder_sha256(folder), spec, device)

    def known(
        self, comments: Sequence[str], on_progress: Callable[[int], None] | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return (indices (m,) of comments with a known token, their embeddings (m, dim) float32 of L2 norm 1).

        Empty comments, and comments of unknown characters only, have no known token. Equal comments are encoded once.
        """
        texts = [self._text(comment) for comment in comments]
        distinct = sorted(set(texts))
        tokens = dict(zip(distinct, self._encoder.token_ids(distinct), strict=True))
        known = {text: ids for text, ids in tokens.items() if not self._encoder.special.issuperset(ids)}
        # One thread, as for k-means: the same bits with any number of cores.
        with _one_thread():
            vectors = self._encoder.embed_ids(list(known.values()), on_progress=on_progress)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(norms == 0, 1, norms)
        row_of = {text: row for row, text in enumerate(known)}
        kept = np.array([i for i, text in enumerate(texts) if text in known], dtype=np.int64)
        return kept, vectors[[row_of[texts[i]] for i in kept.tolist()]]

    def _text(self, comment: str) -> str:
        text = redact(comment)
        if self.spec.emoji_names:
            text = _EMOJI.sub(_emoji_name, text)
        return " ".join(text.split())

    def save(self, folder: Path) -> None:
        """Copy the encoder and write its SHA-256 into the clusterer's folder."""
        copy_encoder(self._folder, folder / FOLDER)
        (folder / FACTS).write_text(json.dumps({"sha256": self.sha256}) + "\n")

    @classmethod
    def load(cls, folder: Path, spec: SentenceSpec, device: str) -> SentenceExtractor:
        """Load the encoder of a clusterer's folder. Raises BadCheckpoint if it is not the one of the clustering."""
        expected, actual = read_json(folder / FACTS).get("sha256"), encoder_sha256(folder / FOLDER)
        if actual != expected:
            raise BadCheckpoint(
                f"{folder / FOLDER}: SHA-256 of the encoder's files is {actual}, but the clusters were made with "
                f"{expected}, and its embeddings would not fit the centroids: cluster again"
            )
        return cls(folder / FOLDER, actual, spec, device)


def _emoji_name(match: regex.Match[str]) -> str:
    name = unicodedata.name(match[0], "")
    return f" {name.lower()} " if name else str(match[0])


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
