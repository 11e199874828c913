"""Score-CAM: how far each channel's own region carries the class (Wang et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from vise_core.models.classifier import ImageClassifier

BATCH = 32
"""Masked images in one forward pass: memory does not grow with channels (2048 in a ResNet-50) or images."""


def scorecam(
    classifier: ImageClassifier,
    images: Tensor,
    maps: Tensor,
    classes: Sequence[int],
    *,
    batch: int = BATCH,
) -> Tensor:
    """(n, 3, height, width) and its (n, c, h, w) → (n, h, w), the channels weighted by a softmax of their scores.

    A channel's score is the class's logit on the image times the channel, enlarged and scaled to [0, 1] (Alg. 1;
    what is subtracted there for an empty image goes in the softmax). One forward pass a channel, so it is slow.
    Not through the package, which lays out c masked copies of all n images at once and prints as it goes.
    """
    weights = torch.stack(
        [
            torch.softmax(_scores(classifier, image, channels, target, batch), 0)
            for image, channels, target in zip(images, maps, classes, strict=True)
        ]
    )
    return torch.einsum("nc,nchw->nhw", weights, maps)


@torch.no_grad()
def _scores(classifier: ImageClassifier, image: Tensor, channels: Tensor, target: int, batch: int) -> Tensor:
    """(3, height, width) and (c, h, w) → (c,) logits of the target.

    Channels without any difference have an empty mask: all of those are one question.
    """
    empty = channels.amax((1, 2)) == channels.amin((1, 2))
    scores = torch.empty(len(channels), device=channels.device)
    if empty.any():
        scores[empty] = classifier(torch.zeros_like(image)[None])[0, target].float()
    for some in torch.nonzero(~empty)[:, 0].split(batch):
        masks = _masks(channels[some], (image.shape[-2], image.shape[-1]))
        scores[some] = classifier(image * masks.to(image.dtype))[:, target].float()
    return scores


def _masks(channels: Tensor, size: tuple[int, int]) -> Tensor:
    """(b, h, w) → (b, 1, height, width) in [0, 1]."""
    grown = interpolate(channels[:, None], size=size, mode="bilinear", align_corners=False)
    low, high = grown.amin((2, 3), keepdim=True), grown.amax((2, 3), keepdim=True)
    return (grown - low) / (high - low).clamp_min(1e-30)
