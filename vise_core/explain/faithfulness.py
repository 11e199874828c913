"""Does the answer hang on the places that a map points at? Insertion and deletion (Petsiuk et al. 2018, RISE).

Deletion takes the pixels of an image away, those with the most heat first: the sooner the class's probability
falls, the lower the area under its curve, the better the map. Insertion puts them back on a blurred image: the
sooner it rises, the higher the area, the better. Neither means much alone: compare with ``random_heat`` and
``centre_heat`` on the same image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from vise_core.models.classifier import require_finite
from vise_core.specs.explain import DeletionBaseline

from .activation import Heat, scaled

Score = Callable[[Tensor], Tensor]
"""(b, 3, h, w), normalised → (b,) probability of the class that is explained."""


BLUR = 0.1
"""Ours. RISE's 5 of 224 pixels, cut off after one sigma, left the sample's emotions half recognisable: a mean
probability of 0.43 for the true class, where this one leaves 0.19 and a whole image has 0.74."""


class Change(NamedTuple):
    """From one image to another, pixel by pixel, in the order of a map.

    ``start``, ``finish`` (3, h, w); ``heat`` (h, w), the highest is changed first.
    """

    start: Tensor
    finish: Tensor
    heat: Heat


class Areas(NamedTuple):
    """Area under the class's probability, 0 to 1, for one map of one image."""

    insertion: float
    deletion: float


def insertion_deletion(
    score: Score,
    image: Tensor,
    heats: Sequence[Heat],
    *,
    steps: int,
    baseline: DeletionBaseline = "mean",
    batch: int = 32,
    seed: int = 0,
) -> list[Areas]:
    """Both areas for each of several maps (h, w) of one image (3, h, w), normalised.

    Deletion ends at the mean colour (0 after normalising, as in RISE) or at the blurred image; insertion starts
    from the blurred image. Raises BadInput where a score on the way is not finite.
    """
    soft = blurred(image)
    gone = soft if baseline == "blur" else torch.zeros_like(image)
    changes = [Change(soft, image, heat) for heat in heats] + [Change(image, gone, heat) for heat in heats]
    areas = [area(curve) for curve in curves(score, changes, steps=steps, batch=batch, seed=seed)]
    return [Areas(*both) for both in zip(areas[: len(heats)], areas[len(heats) :], strict=True)]


@torch.no_grad()
def curves(
    score: Score, changes: Sequence[Change], *, steps: int, batch: int = 32, seed: int = 0
) -> npt.NDArray[np.float64]:
    """The score after each of ``steps`` equal shares of pixels: (changes, steps + 1), all finite.

    At most ``batch`` images are made and scored at once.
    """
    ranks = [torch.from_numpy(order(change.heat, seed)).to(change.start.device) for change in changes]
    pixels = changes[0].heat.size
    todo = [(change, step) for change in range(len(changes)) for step in range(steps + 1)]
    found: list[Tensor] = []
    for first in range(0, len(todo), batch):
        images = [
            torch.where(ranks[i] < round(pixels * step / steps), changes[i].finish, changes[i].start)
            for i, step in todo[first : first + batch]
        ]
        scores = score(torch.stack(images)).double().cpu()
        require_finite(scores[:, None], "the class's probability on a changed image")
        found.append(scores)
    return torch.cat(found).reshape(len(changes), steps + 1).numpy()


def area(curve: npt.NDArray[np.float64]) -> float:
    """Under a curve of evenly spaced points on [0, 1], by the trapezoid rule."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def order(heat: Heat, seed: int) -> npt.NDArray[np.int64]:
    """The rank of each pixel, 0 for the most heat. Equal ones, such as all that a map leaves at 0, at random."""
    lots = np.random.Generator(np.random.PCG64(seed)).random(heat.size)
    ranks = np.empty(heat.size, dtype=np.int64)
    ranks[np.lexsort((lots, -heat.ravel()))] = np.arange(heat.size)
    return ranks.reshape(heat.shape)


def blurred(image: Tensor) -> Tensor:
    """(3, h, w) without detail: a Gaussian whose sigma is ``BLUR`` of the shorter side, reaching 3 sigma."""
    sigma = BLUR * min(image.shape[-2:])
    reach = max(1, min(round(3 * sigma), min(image.shape[-2:]) - 1))  # its edges are mirrored
    return gaussian_blur(image, [2 * reach + 1] * 2, [sigma])


def random_heat(grid: tuple[int, int], size: tuple[int, int], seed: Sequence[int]) -> Heat:
    """Chance on the network's own grid, enlarged as a map is: noise of single pixels would be another game.

    Scattered pixels destroy texture sooner than any region does.
    """
    lots = np.random.Generator(np.random.PCG64(list(seed))).random(grid, dtype=np.float32)
    return scaled(torch.from_numpy(lots)[None], size)[0]


def centre_heat(size: tuple[int, int]) -> Heat:
    """The prior of every photographer: the nearer to the centre, the more. Only the order counts."""
    y, x = (np.abs(np.linspace(-1, 1, length, dtype=np.float32)) for length in size)
    return (1 - np.hypot(y[:, None], x[None, :]) / np.sqrt(2)).astype(np.float32)
