"""Insertion and deletion: does the prediction depend on the pixels that a map marks? (Petsiuk et al. 2018, RISE)

Deletion removes the pixels of an image, those with the most heat first: the sooner the class's probability falls, the
lower the area under its curve, the better the map. Insertion puts them back on a blurred image: the sooner the
probability rises, the higher the area, the better. Compare both with ``random_heat`` and ``centre_heat`` on the same
image.
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
    """A change of one image into another, pixel by pixel, in the order of a map.

    Attributes
    ----------
    start, finish: (3, h, w). heat: (h, w), the highest values are changed first.
    """

    start: Tensor
    finish: Tensor
    heat: Heat


class Areas(NamedTuple):
    """Areas under the curves of a class's probability, 0 to 1, for one map of one image."""

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
    """Return both areas for each of several (h, w) maps of one normalised image (3, h, w).

    Deletion ends at the mean colour (0 after normalising, as in RISE) or at the blurred image; insertion starts
    from the blurred image. Raises BadInput if a score is not finite.
    """
    soft = blurred(image)
    empty = soft if baseline == "blur" else torch.zeros_like(image)
    changes = [Change(soft, image, heat) for heat in heats] + [Change(image, empty, heat) for heat in heats]
    areas = [area(curve) for curve in curves(score, changes, steps=steps, batch=batch, seed=seed)]
    return [Areas(*both) for both in zip(areas[: len(heats)], areas[len(heats) :], strict=True)]


@torch.no_grad()
def curves(
    score: Score, changes: Sequence[Change], *, steps: int, batch: int = 32, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return the scores after each of ``steps`` equal shares of pixels, (changes, steps + 1) float64.

    At most ``batch`` images are made and scored at once. Raises BadInput if a score is not finite.
    """
    ranks = [torch.from_numpy(order(change.heat, seed)).to(change.start.device) for change in changes]
    pixels = changes[0].heat.size
    todo = [(change, step) for change in range(len(changes)) for step in range(steps + 1)]
    batches: list[Tensor] = []
    for first in range(0, len(todo), batch):
        images = [
            torch.where(ranks[i] < round(pixels * step / steps), changes[i].finish, changes[i].start)
            for i, step in todo[first : first + batch]
        ]
        scores = score(torch.stack(images)).double().cpu()
        require_finite(scores[:, None], "the class's probability on a changed image")
        batches.append(scores)
    return torch.cat(batches).reshape(len(changes), steps + 1).numpy()


def area(curve: npt.NDArray[np.float64]) -> float:
    """Return the area under a curve, (n,) float64 at evenly spaced points on [0, 1], by the trapezoid rule."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def order(heat: Heat, seed: int) -> npt.NDArray[np.int64]:
    """Return the rank of each pixel of an (h, w) map, int64, 0 for the most heat; pixels of equal heat in random order."""
    noise = np.random.Generator(np.random.PCG64(seed)).random(heat.size)
    ranks = np.empty(heat.size, dtype=np.int64)
    ranks[np.lexsort((noise, -heat.ravel()))] = np.arange(heat.size)
    return ranks.reshape(heat.shape)


def blurred(image: Tensor) -> Tensor:
    """Return a (3, h, w) image blurred by a Gaussian with a sigma of ``BLUR`` of the shorter side."""
    sigma = BLUR * min(image.shape[-2:])
    reach = max(1, min(round(3 * sigma), min(image.shape[-2:]) - 1))  # its edges are mirrored
    blurred: Tensor = gaussian_blur(image, [2 * reach + 1] * 2, [sigma])
    return blurred


def random_heat(grid: tuple[int, int], size: tuple[int, int], seed: Sequence[int]) -> Heat:
    """Return a random map on the network's own grid, upsampled to ``size`` as an explanation is.

    Noise of single pixels would be no fair baseline: it destroys texture sooner than any region does.
    """
    noise = np.random.Generator(np.random.PCG64(list(seed))).random(grid, dtype=np.float32)
    activation: npt.NDArray[np.float32] = scaled(torch.from_numpy(noise)[None], size)[0]
    return activation


def centre_heat(size: tuple[int, int]) -> Heat:
    """Return a map that falls from the centre to the corners, the prior of most photographs. Only its order counts."""
    y, x = (np.abs(np.linspace(-1, 1, length, dtype=np.float32)) for length in size)
    activation: npt.NDArray[np.float32] = (1 - np.hypot(y[:, None], x[None, :]) / np.sqrt(2)).astype(
        np.float32
    )
    return activation
