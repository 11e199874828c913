"""Probabilities, the class activation map and its overlay for images that somebody brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from vise_core.device import pick_device
from vise_core.errors import BadInput
from vise_core.explain.activation import activation_from_maps
from vise_core.explain.overlays import Box, overlay, seen_region
from vise_core.models.classifier import ImageClassifier, load_classifier, require_finite
from vise_core.models.folding import fold_batch_norm
from vise_core.models.transforms import eval_transform
from vise_core.posts.images.decode import open_image
from vise_core.specs.compute import Device
from vise_core.specs.models.predict import PredictOptions

Picture = Image.Image | bytes | Path
"""A decoded RGB image, or an untrusted file or its bytes."""

MAX_OVERLAY_SIDE = 1024
"""Overlays are for eyes: larger images are scaled down to about this longer side, in their own proportions."""

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
    overlay: the whole image, heat over the region, in the image's own proportions; drawn when it is first asked for,
        as it takes longer than many a network.
    """

    probabilities: dict[str, float]
    predicted: str
    target: str
    heat: npt.NDArray[np.float32]
    region: Box
    seen: Box
    image: Image.Image
    options: PredictOptions

    @cached_property
    def overlay(self) -> Image.Image:
        shown = for_eyes(self.image)
        box = Box(*(share * side for share, side in zip(self.seen, shown.size * 2, strict=True)))
        return overlay(shown, self.heat, self.options.strength, box, self.options.colour_map)


@dataclass(frozen=True, eq=False)
class Question:
    """An image as a predictor's network takes it, and what is asked about it.

    Attributes
    ----------
    image: upright RGB. pixels: (3, s, s) float32, normalised, on the CPU.
    """

    image: Image.Image
    pixels: Tensor
    options: PredictOptions


class Predictor:
    """A classifier on its device, frozen. Its methods may be called from several threads at once.

    Attributes
    ----------
    classes: names in the order of the logits.
    metadata: what the evaluation wrote: method, task, synthetic, protocol, chosen grid point and so on.
    nbytes: of its weights.
    """

    def __init__(self, classifier: ImageClassifier, *, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        # Convolutions read the channels of a place together: a sixth faster on a CPU, and the same sums.
        self._classifier = classifier.to(self._device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._classifier.requires_grad_(False)
        self._transform = eval_transform(
            classifier.image_size, mean=classifier.mean, std=classifier.std, resize=classifier.resize
        )
        self.classes: tuple[str, ...] = classifier.classes
        self.metadata: dict[str, Any] = classifier.metadata
        self.nbytes = weight_bytes(self._classifier)

    @classmethod
    def load(cls, folder: Path, *, device: Device = "auto") -> Predictor:
        """The predictor that an evaluation wrote. Raises BadCheckpoint for a folder that is none."""
        classifier = load_classifier(folder).eval()
        fold_batch_norm(classifier.backbone)
        return cls(classifier, device=torch.device(pick_device(device)))

    def predict(self, image: Picture, options: PredictOptions | None = None) -> Prediction:
        """Answer for one image. Raises BadImage for a file that is none, BadInput for an unknown class."""
        return self.predict_batch([image], options)[0]

    def predict_batch(
        self, images: Sequence[Picture], options: PredictOptions | None = None
    ) -> list[Prediction]:
        """Answer for several images, in order; all are read before any is answered."""
        questions = [self.ask(image, options) for image in images]
        return [
            answer
            for start in range(0, len(questions), BATCH)
            for answer in self.answer(questions[start : start + BATCH])
        ]

    def ask(self, image: Picture, options: PredictOptions | None = None) -> Question:
        """Decode, resize and crop, without the network. Raises BadImage, or BadInput for an unknown class."""
        options = options or PredictOptions()
        if options.target_class is not None and options.target_class not in self.classes:
            raise BadInput(
                f"target_class: this model knows no {options.target_class!r}; one of {', '.join(self.classes)}"
            )
        picture = opened(image)
        return Question(picture, self._transform(picture), options)

    def answer(self, questions: Sequence[Question]) -> list[Prediction]:
        """One forward pass for all of them, whatever each asks; in their order.

        The map of the pass is what CAM and its kin are made from; only the methods of ``explain.activation.FROM_IMAGES``
        ask the network again. An answer does not depend on the others but for the rounding of float32.
        Raises BadInput where the network's output on an image is not finite: it has no probabilities then.
        """
        pixels = torch.stack([question.pixels for question in questions]).to(self._device)
        with torch.inference_mode():
            maps = self._classifier.backbone.forward_features(
                pixels.contiguous(memory_format=torch.channels_last)
            )
            logits = self._classifier.head(self._classifier.backbone.pool(maps))
        require_finite(logits, "the network's output")
        # A copy that autograd may take part in, for the methods that differentiate what comes after the map.
        maps = maps.clone()
        probabilities = torch.softmax(logits.double(), -1).cpu().numpy()
        best = probabilities.argmax(1).tolist()
        targets = [
            most if (wanted := question.options.target_class) is None else self.classes.index(wanted)
            for most, question in zip(best, questions, strict=True)
        ]
        heats: dict[int, npt.NDArray[np.float32]] = {}
        size = (pixels.shape[-2], pixels.shape[-1])
        for method in sorted({question.options.method for question in questions}):
            of_it = [i for i, question in enumerate(questions) if question.options.method == method]
            found = activation_from_maps(
                self._classifier, maps[of_it], method, [targets[i] for i in of_it], size, pixels[of_it]
            )
            heats.update(zip(of_it, found, strict=True))
        return [
            Prediction(
                probabilities=dict(zip(self.classes, map(float, probabilities[i]), strict=True)),
                predicted=self.classes[best[i]],
                target=self.classes[targets[i]],
                heat=heats[i],
                region=(region := self._region(question.image)),
                seen=Box(
                    region.left / question.image.width,
                    region.top / question.image.height,
                    region.right / question.image.width,
                    region.bottom / question.image.height,
                ),
                image=question.image,
                options=question.options,
            )
            for i, question in enumerate(questions)
        ]

    def _region(self, image: Image.Image) -> Box:
        return seen_region(image.size, self._classifier.resize, self._classifier.image_size)


def for_eyes(image: Image.Image, side: int = MAX_OVERLAY_SIDE) -> Image.Image:
    """The image in its own proportions, its longer side at most half as long again as ``side``.

    Each pixel is the mean of a square of whole pixels: a sixth of the time of a filter that meets ``side`` exactly.
    """
    factor = round(max(image.size) / side)
    return image.reduce(factor) if factor > 1 else image


def weight_bytes(*modules: nn.Module) -> int:
    """Bytes of the parameters and buffers, as they lie in memory."""
    return sum(t.nbytes for module in modules for t in (*module.parameters(), *module.buffers()))


def opened(image: Picture) -> Image.Image:
    """Upright RGB. Raises BadImage."""
    if not isinstance(image, Image.Image):
        return open_image(image)
    return image if image.mode == "RGB" else image.convert("RGB")  # which copies what is RGB already
