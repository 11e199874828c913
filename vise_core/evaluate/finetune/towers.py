"""What is trained end to end: the towers that learn, and one linear head on all features side by side."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from vise_core.evaluate.job import Job
from vise_core.evaluate.texts import Words
from vise_core.models.backbones import Backbone
from vise_core.text.encoder import TextEncoder


class Towers(nn.Module):
    """Image features and a sentence's embedding, concatenated, under a linear head (Sec. 4.3).

    Attributes
    ----------
    backbone: None where no image is read. text: None where no text is read, or its tower is frozen; what a frozen
    tower says comes as it is, computed once in evaluation mode, so that nothing in it can move.
    """

    def __init__(self, backbone: Backbone | None, text: TextEncoder | None, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.text = text
        self.head = head

    def forward(self, pixels: Tensor | None, words: Words | None) -> Tensor:
        """(n, 3, side, side) images and n texts, None for what is not read → (n, classes) logits."""
        parts = []
        if self.backbone is not None and pixels is not None:
            parts.append(self.backbone(pixels))
        if self.text is not None:
            parts.append(self.text(words))
        elif isinstance(words, Tensor):
            parts.append(words)
        return cast(Tensor, self.head(torch.cat(parts, 1)))


def new_towers(job: Job, split: int) -> Towers:
    """Copies of the towers under a fresh head, everything in it to be trained."""
    text = job.texts.encoder if job.texts is not None and job.spec.trains_text else None
    towers = Towers(copy.deepcopy(job.backbone), copy.deepcopy(text), job.new_head(split))
    return towers.requires_grad_(True)
