"""Sentence embeddings as comment features: what a comment says, not which words it uses (ours)."""

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
    """A frozen encoder's vectors on the unit sphere.

    Nothing is fitted. The clusterer holds a copy of the encoder's files with their SHA-256, so that it gives the
    same labels on any machine and in any year, whatever becomes of the folder or package that they came from; equal
    files are stored once, however many clusterers hold them.

    Attributes
    ----------
    dim: length of a vector. terms: None, columns are no words.
    """

    terms: list[str] | None = None

    def __init__(self, folder: Path, sha256: str, spec: SentenceSpec, device: str = "auto") -> None:
        # Here, not above: labelling by words must not wait for torch.
        from vise_core.text.encoder import load_text_encoder

        self.sha256, self.spec, self._folder = sha256, spec, folder
        self._encoder: TextEncoder = load_text_encoder(folder).to(pick_device(device))
        self.dim = self._encoder.dim
        self._encoder.limit = min(self._encoder.limit, spec.max_tokens)

    @classmethod
    def fit(cls, spec: SentenceSpec, text_encoder: Path | None, device: str = "auto") -> SentenceExtractor:
        """The encoder of the folder, or the packaged one. Raises BadCheckpoint, BadInput, MissingInput."""
        folder = text_encoder or packaged_encoder()
        return cls(folder, encoder_sha256(folder), spec, device)

    def known(
        self, comments: Sequence[str], between: Callable[[int], None] | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """(comments with a token of the encoder's vocabulary (m,), their unit vectors (m, dim) float32).

        Without: an empty comment, or signs that the encoder has never seen. Equal comments are encoded once.
        """
        texts = [self._text(comment) for comment in comments]
        distinct = sorted(set(texts))
        tokens = dict(zip(distinct, self._encoder.token_ids(distinct), strict=True))
        known = {text: ids for text, ids in tokens.items() if not self._encoder.special.issuperset(ids)}
        # One thread, as for k-means: the same bits on every machine size.
        with _one_thread():
            vectors = self._encoder.embed_ids(list(known.values()), between=between)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(norms == 0, 1, norms)
        place = {text: row for row, text in enumerate(known)}
        kept = np.array([i for i, text in enumerate(texts) if text in known], dtype=np.int64)
        return kept, vectors[[place[texts[i]] for i in kept.tolist()]]

    def _text(self, comment: str) -> str:
        text = redact(comment)
        if self.spec.emoji_names:
            text = _EMOJI.sub(_emoji_name, text)
        return " ".join(text.split())

    def save(self, folder: Path) -> None:
        copy_encoder(self._folder, folder / FOLDER)
        (folder / FACTS).write_text(json.dumps({"sha256": self.sha256}) + "\n")

    @classmethod
    def load(cls, folder: Path, spec: SentenceSpec, device: str) -> SentenceExtractor:
        """Raises BadCheckpoint where the encoder is not the one that the clusters were made with."""
        wanted, found = read_json(folder / FACTS).get("sha256"), encoder_sha256(folder / FOLDER)
        if found != wanted:
            raise BadCheckpoint(
                f"{folder / FOLDER}: SHA-256 of the encoder's files is {found}, but the clusters were made with "
                f"{wanted}: its vectors would mean something else; cluster again"
            )
        return cls(folder / FOLDER, found, spec, device)


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
