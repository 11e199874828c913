"""The network of the fine-tuned protocol: the trained towers with one linear head on their features."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from vise_core.evaluate.job import Job
from vise_core.evaluate.texts import TextBatch
from vise_core.models.backbones import Backbone
from vise_core.text.encoder import TextEncoder


class Towers(nn.Module):
    """A linear head on the image's features and the text's embedding, concatenated (Sec. 4.3).

    Attributes
    ----------
    backbone: None where no image is read.
    text: None where no text is read, or its tower is frozen. A frozen tower's embeddings are computed once, in
    evaluation mode, and are the input in place of texts.
    """

    def __init__(self, backbone: Backbone | None, text: TextEncoder | None, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.text = text
        self.head = head

    def forward(self, pixels: Tensor | None, texts: TextBatch | None) -> Tensor:
        """Return (n, classes) logits of (n, 3, side, side) images and n texts; either is None where no tower reads it."""
        parts = []
        if self.backbone is not None and pixels is not None:
            parts.append(self.backbone(pixels))
        if self.text is not None:
            parts.append(self.text(texts))
        elif isinstance(texts, Tensor):
            parts.append(texts)
        return cast(Tensor, self.head(torch.cat(parts, 1)))


def new_towers(job: Job, split: int) -> Towers:
    """Return copies of the towers under a new head, with every weight trainable."""
    text = job.texts.encoder if job.texts is not None and job.spec.trains_text else None
    towers = Towers(copy.deepcopy(job.backbone), copy.deepcopy(text), job.new_head(split))
    return towers.requires_grad_(True)
