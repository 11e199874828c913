"""The texts of a task: tokenised once, and embedded once where the text tower is frozen (Sec. 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vise_core.reporter import Reporter
from vise_core.specs.evaluation.results import TextTower
from vise_core.tasks import LabelledImages
from vise_core.text.encoder import TextEncoder, Tokens, load_text_encoder
from vise_core.text.files import encoder_sha256, packaged_encoder

from .loading import Indices, as_tensor

TEXTS = "texts.npy"
"""Name of a frozen tower's embeddings in the saved state."""

TextBatch = Tensor | Tokens
"""A batch of texts: their (b, dim) float32 embeddings, or their tokens where the text tower is trained."""

TextReader = Callable[[Indices], TextBatch]
"""Indices of texts → the batch of these texts, on the device."""


@dataclass(frozen=True)
class Texts:
    """The text tower of an evaluation and the texts of its task.

    Attributes
    ----------
    encoder: the tower as it was loaded; training works on a copy.
    ids: the token ids of every text of the task, in the task's order, cut at the encoder's limit.
    tower: the result's description of the tower.
    """

    encoder: TextEncoder
    ids: list[list[int]]
    tower: TextTower

    def embed(self, path: Path, device: torch.device, between: Callable[[int], None]) -> None:
        """Write the (n, dim) float32 embeddings of all texts as ``.npy``: the tower in evaluation mode, in float32.

        ``between`` is called after each batch with the number of texts done, and may raise.
        """
        self.encoder.to(device)
        np.save(path, self.encoder.embed_ids(self.ids, on_progress=between))
        self.encoder.to("cpu")

    def tokens(self, batch: Indices, device: torch.device) -> Tokens:
        """Return the tokens of a batch of texts, padded to the longest of them."""
        padded = self.encoder.pad([self.ids[i] for i in batch])
        return {name: value.to(device) for name, value in padded.items()}

    def reader(self, embedded: npt.NDArray[np.float32] | None, device: torch.device) -> TextReader:
        """Return a reader of batches: rows of ``embedded``, (n, dim), where given, else tokens."""
        if embedded is None:
            return lambda batch: self.tokens(batch, device)
        return lambda batch: as_tensor(embedded[batch], device)


def load_texts(folder: Path | None, images: LabelledImages, reporter: Reporter) -> Texts:
    """Load the text tower from a folder, or the packaged one, with the task's texts.

    Raises BadCheckpoint, a BadInput, if the encoder's files are missing or damaged, and MissingInput if the packaged
    one is not installed.
    """
    if folder is None:
        folder = packaged_encoder()
        reporter.log("no input text_encoder: using the packaged all-MiniLM-L6-v2")
    encoder = load_text_encoder(folder)
    ids = encoder.token_ids(images.texts or ())
    millions = sum(weight.numel() for weight in encoder.parameters()) / 1e6
    tower = TextTower(
        encoder=f"{encoder.model.config.model_type}, {millions:.1f}M parameters",  # type: ignore[union-attr]
        dim=encoder.dim,
        sha256=encoder_sha256(folder),
        limit=encoder.limit,
        at_limit=sum(len(row) >= encoder.limit for row in ids),
    )
    reporter.log(
        f"text tower: {tower.encoder}, {tower.dim} dimensions, mean over a text's tokens; {tower.at_limit} of "
        f"{len(ids)} texts reach its limit of {tower.limit} tokens and may be truncated"
    )
    return Texts(encoder, ids, tower)
