"""Probabilities, the class activation map and its overlay for images that somebody brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from vise_core.errors import BadInput
from vise_core.evaluate.device import pick_device
from vise_core.explain.activation import activation_from_maps
from vise_core.explain.overlays import Box, overlay, seen_region
from vise_core.models.classifier import ImageClassifier, load_classifier
from vise_core.models.transforms import eval_transform
from vise_core.posts.images import open_image
from vise_core.specs.base import Compute
from vise_core.specs.explain import PredictOptions

Picture = Image.Image | bytes | Path
"""A decoded RGB image, or an untrusted file or its bytes."""

MAX_OVERLAY_SIDE = 1024
"""Overlays are for eyes: larger images are scaled down to this longer side, in their own proportions."""

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image.

    Attributes
    ----------
    probabilities: {class: probability}, in the model's order of classes, summing to 1.
    predicted: the most probable class. target: the class that ``heat`` speaks for.
    heat: (s, s) float32 in [0, 1] over the square that the network saw.
    region: that square in pixels of the upright image as it was given.
    seen: the same in shares of its width and height, for a picture of any size.
    overlay: the whole image, heat over the region, in the image's own proportions.
    """

    probabilities: dict[str, float]
    predicted: str
    target: str
    heat: npt.NDArray[np.float32]
    region: Box
    seen: Box
    overlay: Image.Image


class Predictor:
    """A classifier on its device, frozen. Its methods may be called from several threads at once.

    Attributes
    ----------
    classes: names in the order of the logits.
    metadata: what the evaluation wrote: method, task, synthetic, protocol, chosen grid point and so on.
    """

    def __init__(self, classifier: ImageClassifier, *, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._classifier = classifier.to(self._device).eval().requires_grad_(False)
        self._transform = eval_transform(
            classifier.image_size, mean=classifier.mean, std=classifier.std, resize=classifier.resize
        )
        self.classes: tuple[str, ...] = classifier.classes
        self.metadata: dict[str, Any] = classifier.metadata

    @classmethod
    def load(cls, folder: Path, *, compute: Compute | None = None) -> Predictor:
        """The predictor that an evaluation wrote. Raises BadCheckpoint for a folder that is none."""
        return cls(load_classifier(folder), device=pick_device(compute or Compute()))

    def predict(self, image: Picture, options: PredictOptions | None = None) -> Prediction:
        """Answer for one image. Raises BadImage for a file that is none, BadInput for an unknown class."""
        return self.predict_batch([image], options)[0]

    def predict_batch(
        self, images: Sequence[Picture], options: PredictOptions | None = None
    ) -> list[Prediction]:
        """Answer for several images, in order; all are read before any is answered."""
        options = options or PredictOptions()
        if options.target_class is not None and options.target_class not in self.classes:
            raise BadInput(
                f"target_class: this model knows no {options.target_class!r}; one of {', '.join(self.classes)}"
            )
        pictures = [opened(image) for image in images]
        return [
            answer
            for start in range(0, len(pictures), BATCH)
            for answer in self._answer(pictures[start : start + BATCH], options)
        ]

    def _answer(self, images: list[Image.Image], options: PredictOptions) -> list[Prediction]:
        pixels = torch.stack([self._transform(image) for image in images]).to(self._device)
        with torch.no_grad():
            maps = self._classifier.backbone.forward_features(pixels)
            logits = self._classifier.head(self._classifier.backbone.pool(maps))
        probabilities = torch.softmax(logits.double(), -1).cpu().numpy()
        best = probabilities.argmax(1).tolist()
        wanted = options.target_class
        targets = best if wanted is None else [self.classes.index(wanted)] * len(images)
        heats = activation_from_maps(
            self._classifier, maps, options.method, targets, (pixels.shape[-2], pixels.shape[-1]), pixels
        )
        return [
            Prediction(
                probabilities=dict(zip(self.classes, map(float, probabilities[i]), strict=True)),
                predicted=self.classes[best[i]],
                target=self.classes[targets[i]],
                heat=heats[i],
                region=(region := self._region(image)),
                seen=Box(
                    region.left / image.width,
                    region.top / image.height,
                    region.right / image.width,
                    region.bottom / image.height,
                ),
                overlay=self._overlay(image, heats[i], options),
            )
            for i, image in enumerate(images)
        ]

    def _region(self, image: Image.Image) -> Box:
        return seen_region(image.size, self._classifier.resize, self._classifier.image_size)

    def _overlay(
        self, image: Image.Image, heat: npt.NDArray[np.float32], options: PredictOptions
    ) -> Image.Image:
        shown = for_eyes(image)
        return overlay(shown, heat, options.strength, self._region(shown), options.colour_map)


def for_eyes(image: Image.Image, side: int = MAX_OVERLAY_SIDE) -> Image.Image:
    """The image in its own proportions, its longer side at most ``side``."""
    if max(image.size) <= side:
        return image
    smaller = image.copy()
    smaller.thumbnail((side, side))
    return smaller


def opened(image: Picture) -> Image.Image:
    """Upright RGB. Raises BadImage."""
    return image.convert("RGB") if isinstance(image, Image.Image) else open_image(image)
