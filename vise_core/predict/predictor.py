"""Predict classes, class activation maps and overlays of images with an evaluated classifier."""

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
from vise_core.posts.images.decode import encode_jpeg, open_image
from vise_core.specs.compute import Device
from vise_core.specs.models.predict import PredictOptions

Picture = Image.Image | bytes | Path
"""A decoded image, the bytes of an untrusted image file, or its path."""

MAX_OVERLAY_SIDE = 1024
"""Overlays of larger images are scaled down to about this longer side, in the image's own proportions."""

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    Attributes
    ----------
    probabilities: {class: probability}, in the model's order of classes, summing to 1.
    predicted: the most probable class. target: the class that ``heat`` explains.
    heat: (s, s) float32 in [0, 1] over the square that the network saw.
    region: that square in pixels of the upright image.
    seen: that square in shares of the image's width and height, for a picture of any size.
    overlay: the whole image with the heat over the region; drawn on first access, since drawing may take longer than
        the forward pass.
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
        """The preview of the image, tinted by the heat map."""
        picture = preview(self.image)
        box = Box(*(share * side for share, side in zip(self.seen, picture.size * 2, strict=True)))
        return overlay(picture, self.heat, self.options.strength, box, self.options.colour_map)


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image transformed for a predictor's network, with the options of its prediction.

    Attributes
    ----------
    image: upright RGB. pixels: (3, s, s) float32, normalised, on the CPU.
    """

    image: Image.Image
    pixels: Tensor
    options: PredictOptions

    def jpeg(self, side: int = MAX_OVERLAY_SIDE) -> bytes:
        """Return the image as JPEG without metadata, its longer side at most 1.5 times ``side``."""
        return encode_jpeg(preview(self.image, side))


class Predictor:
    """A frozen classifier on a device. Its methods may be called from several threads at once.

    Attributes
    ----------
    classes: names in the order of the logits.
    metadata: facts that the evaluation wrote: method, task, synthetic, protocol, chosen grid point and so on.
    nbytes: size of the weights in memory.
    """

    def __init__(self, classifier: ImageClassifier, *, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        # channels_last: a sixth faster on a CPU, with the same sums.
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
        """Load the ``predictor`` artifact of an evaluation. Raises BadCheckpoint if the folder holds none."""
        classifier = load_classifier(folder).eval()
        fold_batch_norm(classifier.backbone)
        return cls(classifier, device=torch.device(pick_device(device)))

    def predict(self, image: Picture, options: PredictOptions | None = None) -> Prediction:
        """Predict one image. Raises BadImage if it cannot be decoded, BadInput for an unknown target class."""
        return self.predict_batch([image], options)[0]

    def predict_batch(
        self, images: Sequence[Picture], options: PredictOptions | None = None
    ) -> list[Prediction]:
        """Predict several images, in order. All are decoded before the first forward pass."""
        prepared = [self.prepare(image, options) for image in images]
        return [
            prediction
            for start in range(0, len(prepared), BATCH)
            for prediction in self.predict_prepared(prepared[start : start + BATCH])
        ]

    def prepare(self, image: Picture, options: PredictOptions | None = None) -> PreparedImage:
        """Decode and transform an image, without a forward pass.

        Raises BadImage if it cannot be decoded, BadInput for an unknown target class.
        """
        options = options or PredictOptions()
        if options.target_class is not None and options.target_class not in self.classes:
            raise BadInput(
                f"target_class: the model has no class {options.target_class!r}; use one of {', '.join(self.classes)}"
            )
        picture = opened(image)
        return PreparedImage(picture, self._transform(picture), options)

    def predict_prepared(self, batch: Sequence[PreparedImage]) -> list[Prediction]:
        """Predict a batch of prepared images in one forward pass, in order; their options may differ.

        Only the methods of ``explain.activation.FROM_IMAGES`` need more forward passes. A prediction depends on the
        rest of the batch only through float32 rounding. Raises BadInput if the network's output is not finite.
        """
        pixels = torch.stack([prepared.pixels for prepared in batch]).to(self._device)
        with torch.inference_mode():
            maps = self._classifier.backbone.forward_features(
                pixels.contiguous(memory_format=torch.channels_last)
            )
            logits = self._classifier.head(self._classifier.backbone.pool(maps))
        require_finite(logits, "the network's output")
        # Tensors made in inference mode cannot take part in autograd, which Grad-CAM needs; a copy can.
        maps = maps.clone()
        probabilities = torch.softmax(logits.double(), -1).cpu().numpy()
        best = probabilities.argmax(1).tolist()
        targets = [
            predicted if (name := prepared.options.target_class) is None else self.classes.index(name)
            for predicted, prepared in zip(best, batch, strict=True)
        ]
        heats: dict[int, npt.NDArray[np.float32]] = {}
        size = (pixels.shape[-2], pixels.shape[-1])
        for method in sorted({prepared.options.method for prepared in batch}):
            rows = [i for i, prepared in enumerate(batch) if prepared.options.method == method]
            row_heats = activation_from_maps(
                self._classifier, maps[rows], method, [targets[i] for i in rows], size, pixels[rows]
            )
            heats.update(zip(rows, row_heats, strict=True))
        return [
            Prediction(
                probabilities=dict(zip(self.classes, map(float, probabilities[i]), strict=True)),
                predicted=self.classes[best[i]],
                target=self.classes[targets[i]],
                heat=heats[i],
                region=(region := self._region(prepared.image)),
                seen=Box(
                    region.left / prepared.image.width,
                    region.top / prepared.image.height,
                    region.right / prepared.image.width,
                    region.bottom / prepared.image.height,
                ),
                image=prepared.image,
                options=prepared.options,
            )
            for i, prepared in enumerate(batch)
        ]

    def _region(self, image: Image.Image) -> Box:
        return seen_region(image.size, self._classifier.resize, self._classifier.image_size)


def preview(image: Image.Image, side: int = MAX_OVERLAY_SIDE) -> Image.Image:
    """Return the image scaled down by a whole factor, so that its longer side is at most 1.5 times ``side``.

    Averaging squares of whole pixels takes a sixth of the time of a filter that meets ``side`` exactly.
    """
    factor = round(max(image.size) / side)
    return image.reduce(factor) if factor > 1 else image


def weight_bytes(*modules: nn.Module) -> int:
    """Return the size of all parameters and buffers in memory, in bytes."""
    return sum(t.nbytes for module in modules for t in (*module.parameters(), *module.buffers()))


def opened(image: Picture) -> Image.Image:
    """Return an upright RGB image; an RGB image is returned as it is. Raises BadImage if it cannot be decoded."""
    if not isinstance(image, Image.Image):
        return open_image(image)
    return image if image.mode == "RGB" else image.convert("RGB")
