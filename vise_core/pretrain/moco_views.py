"""MoCo-v2's two views of an image (Chen et al. 2020; the paper names the method, App. B, not its views)."""

from __future__ import annotations

from functools import partial

import torch
from PIL import Image, ImageFilter
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from vise_core.models.backbones import RGB
from vise_core.models.transforms import TrainTransform, crop_box, normalise

JITTER, JITTER_SHARE = (0.4, 0.4, 0.4, 0.1), 0.8
"""Strength of brightness, contrast, saturation and hue, and the share of views that get them."""
GREY_SHARE = 0.2
BLUR, BLUR_SHARE = (0.1, 2.0), 0.5
"""Range of sigma in pixels of the crop, and the share of views that are blurred."""


def two_views(image_size: int, *, min_crop: float = 0.2, mean: RGB, std: RGB) -> TrainTransform:
    """Return a transform that makes two views: each cropped, jittered, greyed, blurred, flipped and normalised.

    It takes an RGB image and a generator, and returns (2, 3, image_size, image_size) float32: the query's view and the
    key's. It can be pickled, for loaders in other processes.
    """
    return partial(_views, image_size=image_size, min_crop=min_crop, mean=mean, std=std)


def _views(
    image: Image.Image, generator: Generator, *, image_size: int, min_crop: float, mean: RGB, std: RGB
) -> Tensor:
    views = [augment(image, generator, image_size=image_size, min_crop=min_crop) for _ in range(2)]
    return torch.stack([normalise(view, mean, std) for view in views])


def augment(image: Image.Image, generator: Generator, *, image_size: int, min_crop: float) -> Image.Image:
    """Return one view, an image of (image_size, image_size).

    The same steps, from the same kind of draws in the same order, as torchvision's transforms under the
    names that MoCo-v2's code gives them.
    """
    left, top, width, height = crop_box(image.size, (min_crop, 1.0), generator)
    size = [image_size, image_size]
    image = F.resized_crop(image, top, left, height, width, size, InterpolationMode.BILINEAR)
    if _chance(JITTER_SHARE, generator):
        image = jitter(image, generator)
    if _chance(GREY_SHARE, generator):
        image = F.rgb_to_grayscale(image, num_output_channels=3)
    if _chance(BLUR_SHARE, generator):
        image = image.filter(ImageFilter.GaussianBlur(radius=_between(*BLUR, generator)))
    if _chance(0.5, generator):
        image = F.hflip(image)
    return image


def jitter(image: Image.Image, generator: Generator) -> Image.Image:
    """Return the image with brightness, contrast, saturation and hue changed in random order, as ColorJitter does."""
    brightness, contrast, saturation, hue = JITTER
    order = torch.randperm(4, generator=generator).tolist()
    steps = (
        (F.adjust_brightness, _between(1 - brightness, 1 + brightness, generator)),
        (F.adjust_contrast, _between(1 - contrast, 1 + contrast, generator)),
        (F.adjust_saturation, _between(1 - saturation, 1 + saturation, generator)),
        (F.adjust_hue, _between(-hue, hue, generator)),
    )
    for step in order:
        change, factor = steps[step]
        image = change(image, factor)
    return image


def _chance(share: float, generator: Generator) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _between(low: float, high: float, generator: Generator) -> float:
    return float(torch.empty(()).uniform_(low, high, generator=generator))
