"""One forward pass of an image through a classifier, with the tensors that maps are computed from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from vise_core.models.classifier import ImageClassifier, require_finite
from vise_core.models.transforms import eval_transform
from vise_core.specs.explain import CamMethod

from .activation import Heat, activation_from_maps
from .overlays import Box, seen_region


class Seen(NamedTuple):
    """The forward pass of one image.

    Attributes
    ----------
    pixels: (1, 3, s, s), normalised. maps: (1, c, h, w), the backbone's last feature map.
    probabilities: (classes,) float64. predicted: the most probable class.
    region: the part of the image that the network saw, in the image's own pixels.
    """

    pixels: Tensor
    maps: Tensor
    probabilities: npt.NDArray[np.float64]
    predicted: int
    region: Box


@torch.no_grad()
def see(classifier: ImageClassifier, image: Image.Image, device: torch.device) -> Seen:
    """Run a classifier on an image with its own eval transform. Raises BadInput if the logits are not finite."""
    resize, crop = classifier.resize, classifier.image_size
    transform = eval_transform(crop, mean=classifier.mean, std=classifier.std, resize=resize)
    pixels = transform(image)[None].to(device)
    maps = classifier.backbone.forward_features(pixels)
    logits = classifier.head(classifier.backbone.pool(maps))
    require_finite(logits, "the network's output")
    probabilities = torch.softmax(logits.double(), -1)[0].cpu().numpy()
    region = seen_region(image.size, resize, crop)
    return Seen(pixels, maps, probabilities, int(probabilities.argmax()), region)


def heat_of(classifier: ImageClassifier, seen: Seen, method: CamMethod, target: int) -> Heat:
    """Return the heat map of ``method`` for the class ``target``, (s, s) in [0, 1]."""
    size = (seen.pixels.shape[-2], seen.pixels.shape[-1])
    activation: npt.NDArray[np.float32] = activation_from_maps(
        classifier, seen.maps, method, [target], size, seen.pixels
    )[0]
    return activation
