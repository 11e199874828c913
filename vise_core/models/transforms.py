"""Image transforms: the paper's training augmentation and its evaluation crop (Sec. 4.2, App. C.1).

Random numbers come from one generator per sample, never from global state, so that the same (seed, epoch, sample)
gives the same crop in every process.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import partial

import torch
from PIL import Image
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from .backbones import RGB

ASPECT = (3 / 4, 4 / 3)
SCALED_PIXELS = 2**24
"""An image that scaled whole would have more pixels than this, or than two squares, is cropped first."""
RESAMPLING = {
    InterpolationMode.BILINEAR: Image.Resampling.BILINEAR,
    InterpolationMode.NEAREST: Image.Resampling.NEAREST,
}
TrainTransform = Callable[[Image.Image, Generator], Tensor]
EvalTransform = Callable[[Image.Image], Tensor]


def sample_generator(seed: int, epoch: int, index: int) -> Generator:
    """Return the random generator of a sample in an epoch."""
    digest = hashlib.blake2b(f"{seed}:{epoch}:{index}".encode(), digest_size=8).digest()
    # torch takes seeds below 2**63 as they are.
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def train_transform(image_size: int, *, min_crop: float = 0.08, mean: RGB, std: RGB) -> TrainTransform:
    """Build the training transform: random resized crop, horizontal flip, normalisation (App. C.1).

    The transform takes an RGB image and a generator and returns (3, image_size, image_size) float32. It can be
    pickled.
    """
    return partial(_train_view, image_size=image_size, min_crop=min_crop, mean=mean, std=std)


def eval_transform(image_size: int, *, mean: RGB, std: RGB, resize: int | None = None) -> EvalTransform:
    """Build the evaluation transform: resize the shorter side, crop the centre, normalise (Sec. 4.2).

    ``resize`` None is 256 for a crop of 224, and in proportion for other sizes. The transform takes an RGB image and
    returns (3, image_size, image_size) float32. It can be pickled.
    """
    side = resize or round(image_size * 256 / 224)
    return partial(_eval_view, image_size=image_size, resize=side, mean=mean, std=std)


def _train_view(
    image: Image.Image, generator: Generator, *, image_size: int, min_crop: float, mean: RGB, std: RGB
) -> Tensor:
    left, top, width, height = crop_box(image.size, (min_crop, 1.0), generator)
    size = [image_size, image_size]
    image = F.resized_crop(image, top, left, height, width, size, InterpolationMode.BILINEAR)
    if _uniform(generator) < 0.5:
        image = F.hflip(image)
    return normalise(image, mean, std)


def _eval_view(image: Image.Image, *, image_size: int, resize: int, mean: RGB, std: RGB) -> Tensor:
    return normalise(resized_centre(image, resize, image_size), mean, std)


def resized_centre(
    image: Image.Image,
    resize: int,
    crop: int,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
) -> Image.Image:
    """Scale the shorter side of an image to ``resize`` and return its centre, (crop, crop).

    Of an image so long that the scaled one would be too large, the part that the crop shows is cut out before it is
    scaled. Its pixels may then differ by one level.
    """
    shorter = min(image.size)
    scaled = [int(resize * side / shorter) for side in image.size]  # as torchvision rounds
    axis = int(image.height > image.width)
    if crop < scaled[axis] and math.prod(scaled) > max(SCALED_PIXELS, 2 * resize**2):
        image = _scaled_middle(image, scaled, crop, axis, RESAMPLING[interpolation])
    else:
        image = F.resize(image, [resize], interpolation)
    cropped: Image.Image = F.center_crop(image, [crop, crop])
    return cropped


def _scaled_middle(
    image: Image.Image, scaled: list[int], crop: int, axis: int, resampling: Image.Resampling
) -> Image.Image:
    """Return the central ``crop`` pixels along an axis of the image that is scaled to (width, height) ``scaled``."""
    step = image.size[axis] / scaled[axis]
    first = int(round((scaled[axis] - crop) / 2.0)) * step
    # What the filter reads besides; the numbers of the box are small then, so that its single precision is enough.
    low, high = math.floor(first - step) - 2, math.ceil(first + (crop + 1) * step) + 2
    low, high = max(0, low), min(high, image.size[axis])
    kept, box, size = [0, 0, *image.size], [0.0, 0.0, *map(float, image.size)], list(scaled)
    kept[axis], kept[axis + 2] = low, high
    box[axis], box[axis + 2] = first - low, first + crop * step - low
    size[axis] = crop
    part = image.crop((kept[0], kept[1], kept[2], kept[3]))
    return part.resize((size[0], size[1]), resampling, (box[0], box[1], box[2], box[3]))


def crop_box(
    size: tuple[int, int], scale: tuple[float, float], generator: Generator
) -> tuple[int, int, int, int]:
    """Draw (left, top, width, height) of a random crop, as torchvision's RandomResizedCrop with its own generator.

    ``size`` is (width, height); ``scale`` is the smallest and largest share of the area.
    """
    width, height = size
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    for _ in range(10):
        area = width * height * (scale[0] + (scale[1] - scale[0]) * _uniform(generator))
        aspect = math.exp(low + (high - low) * _uniform(generator))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(torch.randint(height - h + 1, (), generator=generator))
            left = int(torch.randint(width - w + 1, (), generator=generator))
            return left, top, w, h
    # No crop of such a shape fits: the largest centred one that does.
    ratio = min(max(width / height, ASPECT[0]), ASPECT[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (width - w) // 2, (height - h) // 2, w, h


def normalise(image: Image.Image, mean: RGB, std: RGB) -> Tensor:
    """Convert an RGB image to (3, h, w) float32: (x / 255 - mean) / std."""
    pixels = F.pil_to_tensor(image).float().div_(255)
    shape = (3, 1, 1)
    normalised: Tensor = pixels.sub_(torch.tensor(mean).view(shape)).div_(torch.tensor(std).view(shape))
    return normalised


def _uniform(generator: Generator) -> float:
    return float(torch.rand((), generator=generator))
