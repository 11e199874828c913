"""Images of a task as batches of tensors, the same for any number of loader processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vise_core.errors import BadImage, BadInput
from vise_core.models import transforms
from vise_core.posts.images.decode import open_image
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.tasks import LabelledImages
from vise_core.tasks.usable import MAX_IMAGE_PIXELS

Indices = npt.NDArray[np.int64]
Transform = Callable[[Image.Image, int], Tensor]
"""(RGB image, its index in the task) → (3, h, w) float32, normalised."""


def eval_transform(
    image_size: int, resize: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Transform:
    """Return the transform of evaluation: resize, centre crop, normalise; the index is ignored."""
    transform = transforms.eval_transform(image_size, mean=_rgb(mean), std=_rgb(std), resize=resize)
    return lambda image, _index: transform(image)


def train_transform(
    image_size: int, mean: tuple[float, ...], std: tuple[float, ...], seed: int, epoch: int
) -> Transform:
    """Return the transform of training: a random resized crop and flip that depend on (seed, epoch, index) alone."""
    transform = transforms.train_transform(image_size, mean=_rgb(mean), std=_rgb(std))
    return lambda image, index: transform(image, transforms.sample_generator(seed, epoch, index))


def image_batches(
    images: LabelledImages, batches: Sequence[Indices], transform: Transform, workers: int
) -> Iterator[tuple[Indices, Tensor]]:
    """Yield (indices, (b, 3, h, w) float32 images) of each batch, in order.

    ``workers`` processes decode; 0: this process does. Raises BadInput, naming the image, if one cannot be decoded.
    """
    loader = DataLoader(
        _Images(images, transform),
        batch_sampler=[batch.tolist() for batch in batches],
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    yield from zip(batches, loader, strict=True)


def in_batches(order: Indices, size: int) -> list[Indices]:
    """Return ``order`` cut into consecutive batches of ``size``; the last holds the rest."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def epoch_batches(train: Indices, spec: EvaluateSpec, split: int, epoch: int) -> list[Indices]:
    """Return the shuffled batches of one epoch: every image once, the last batch smaller.

    The order depends on (seed, split, epoch) only, so that it is the same for all points of a grid and in a resumed
    run.
    """
    rng = np.random.Generator(np.random.PCG64([spec.seed, split, epoch]))
    return in_batches(rng.permutation(train), spec.batch)


class _Images(Dataset[Tensor]):
    def __init__(self, images: LabelledImages, transform: Transform) -> None:
        self._images, self._transform = images, transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        try:
            image = open_image(self._images.paths[index], max_pixels=MAX_IMAGE_PIXELS)
        except BadImage as error:
            raise BadInput(f"{self._images.relative_path(index)}: {error}") from None
        return self._transform(image, index)


def _rgb(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def as_tensor(rows: npt.NDArray[np.float32], device: torch.device) -> Tensor:
    """Return a copy of features, (n, features) float32, as a tensor on the device."""
    return torch.from_numpy(np.ascontiguousarray(rows)).to(device)
