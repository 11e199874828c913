"""Score-CAM: channels weighted by the class's logit on the image masked by each channel (Wang et al. 2020)."""

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
    """Return Score-CAM maps, (n, h, w): the sum of the channels weighted by a softmax of their scores.

    Parameters
    ----------
    images: (n, 3, height, width), normalised. maps: (n, c, h, w), their feature maps. classes: n class indices.
    batch: masked images in one forward pass.

    A channel's score is the class's logit on the image times the channel, upsampled and scaled to [0, 1] (Alg. 1;
    the softmax cancels the score of an empty image that is subtracted there). One forward pass per channel, so it is
    slow. Not through the package, which holds c masked copies of all n images at once and prints.
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
    """Return the (c,) logits of the target on a (3, height, width) image masked by each of (c, h, w) channels.

    Constant channels have an empty mask and share one forward pass.
    """
    empty = channels.amax((1, 2)) == channels.amin((1, 2))
    scores = torch.empty(len(channels), device=channels.device)
    if empty.any():
        scores[empty] = classifier(torch.zeros_like(image)[None])[0, target].float()
    for rows in torch.nonzero(~empty)[:, 0].split(batch):
        masks = _masks(channels[rows], (image.shape[-2], image.shape[-1]))
        scores[rows] = classifier(image * masks.to(image.dtype))[:, target].float()
    return scores


def _masks(channels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (b, h, w) channels upsampled and scaled to [0, 1], (b, 1, height, width)."""
    grown = interpolate(channels[:, None], size=size, mode="bilinear", align_corners=False)
    low, high = grown.amin((2, 3), keepdim=True), grown.amax((2, 3), keepdim=True)
    return (grown - low) / (high - low).clamp_min(1e-30)
