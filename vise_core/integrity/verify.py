"""Verify candidate pairs: align one thumbnail with the other and measure the remaining difference.

Similar images that are no copies, such as photographs of the same scene or memes of the same template, also have near
hashes. Of a copy, hardly any difference in any colour remains once the crop is undone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .candidates import Candidates
from .perceptual_hashes import LUMA, SIDE, WINDOWS, Thumbs, Windows, sampling

MAX_DIFFERENCE = 4.0
"""Largest difference of a copy in grey levels (root mean square, colour weighted a quarter). Chosen on sample images of
64 pixels: among 20,000 the nearest two that are no copies differ by 4.3; 99 in 100 copies that were resized,
recompressed, cropped by 5 % or mirrored differ by less than 3, and by less than 3.5 after all of these together."""
MAX_DIFFERENCE_TINY = 5.5
"""Largest difference if one of the two images is tiny, since compression changes it more."""
TINY = 48
"""Images whose shorter side has fewer pixels are tiny."""
MAX_RELATIVE = 0.2
"""Largest difference of a copy as a share of its contrast, so that not all pale images are copies of each other."""
MIN_CONTRAST = 4.0
"""Images whose thumbnail has a smaller standard deviation (grey levels) are not compared."""
_HOPELESS = 16.0
_HOPELESS_RELATIVE = 0.4
"""Difference before alignment (grey levels, and share of the contrast) above which a pair cannot be a copy."""
COLOUR_WEIGHT = 0.25
"""Weight of colour differences, since JPEG stores colour at half the resolution and coarsely."""
_STEPS = 6
_LARGEST_STEP = 0.03
_SLACK = 0.02
_SMALLEST = 0.86
_DAMPING = 1e3
_CHUNK = 512

Floats = npt.NDArray[np.float32]


class Likeness(NamedTuple):
    """How similar pairs are.

    Attributes
    ----------
    difference: (n,) float32 in grey levels, inf if too large before alignment. copies: (n,) bool, True for copies.
    """

    difference: Floats
    copies: npt.NDArray[np.bool_]


def contrast(thumbs: Thumbs | Floats) -> Floats:
    """Return the standard deviation over each thumbnail, root mean square over colours, (n,) float32."""
    values = np.empty(len(thumbs), dtype=np.float32)
    for start in range(0, len(thumbs), _CHUNK):
        part = _smooth(thumbs[start : start + _CHUNK].astype(np.float32))
        values[start : start + _CHUNK] = np.sqrt(part.var(axis=(1, 2)).mean(axis=-1))
    return values


def compare(
    thumbs: Thumbs, others: Thumbs, pairs: Candidates, tiny: npt.NDArray[np.bool_], *, threads: int = 2
) -> Likeness:
    """Compare the pairs of ``thumbs`` (n, SIDE, SIDE, 3) and ``others`` (m, SIDE, SIDE, 3).

    ``tiny`` is True for each pair with a tiny image.
    """
    parts = [slice(start, start + _CHUNK) for start in range(0, len(pairs.first), _CHUNK)]
    with ThreadPoolExecutor(max(1, threads)) as pool:
        rows = list(pool.map(partial(_differences, thumbs, others, pairs), parts))
    difference, relative = np.concatenate(rows, axis=1) if rows else np.empty((2, 0), dtype=np.float32)
    allowed = np.where(tiny, MAX_DIFFERENCE_TINY, MAX_DIFFERENCE)
    return Likeness(difference, (difference <= allowed) & (relative <= MAX_RELATIVE))


def _differences(thumbs: Thumbs, others: Thumbs, pairs: Candidates, part: slice) -> Floats:
    """Return rows (2, n): the difference, and its share of the contrast; inf if too large before alignment."""
    first, second = thumbs[pairs.first[part]], others[pairs.second[part]]
    cut = pairs.first_is_cut[part, None, None, None]
    source, target = np.where(cut, second, first), np.where(cut, first, second)
    target = np.where(pairs.mirrored[part, None, None, None], target[:, :, ::-1], target)
    source_grey, target_grey = source @ LUMA, target @ LUMA
    window = WINDOWS[pairs.view[part]]
    error = _cut(source_grey[..., None], window)[..., 0] - target_grey
    limit = np.maximum(_HOPELESS, _HOPELESS_RELATIVE * target_grey.std(axis=(1, 2)))
    similar = np.flatnonzero(np.sqrt((error**2).mean(axis=(1, 2))) <= limit)
    rows = np.full((2, len(source)), np.inf, dtype=np.float32)
    if len(similar):
        source, target = source[similar].astype(np.float32), target[similar].astype(np.float32)
        window = fit_windows(source_grey[similar], target_grey[similar], window[similar])
        difference = _magnitude(_smooth(_smooth(_cut(source, window) - target)))
        rows[:, similar] = difference, difference / np.maximum(contrast(target), 1e-6)
    return rows


def fit_windows(source: Floats, target: Floats, window: Windows) -> Windows:
    """Return the windows (n, 4) of the sources that fit the targets best, by Gauss-Newton steps from ``window``.

    Source and target are grey, (n, SIDE, SIDE). Windows stay within a crop of about 5 % a side.
    """
    window = window.copy()
    across = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    down = across[:, None]
    low = np.array([-_SLACK, _SMALLEST, -_SLACK, _SMALLEST], dtype=np.float32)
    high = np.array([1 - _SMALLEST, 1 + _SLACK, 1 - _SMALLEST, 1 + _SLACK], dtype=np.float32)
    for _ in range(_STEPS):
        take_x, slope_x = sampling(window[:, 0], window[:, 1])
        take_y, slope_y = sampling(window[:, 2], window[:, 3])
        lines = take_y @ source
        rest = (target - lines @ take_x.transpose(0, 2, 1)).reshape(len(window), -1, 1)
        by_x = lines @ slope_x.transpose(0, 2, 1) * SIDE
        by_y = slope_y @ source @ take_x.transpose(0, 2, 1) * SIDE
        jacobian = np.stack([by_x * (1 - across), by_x * across, by_y * (1 - down), by_y * down], axis=-1)
        jacobian = jacobian.reshape(len(window), -1, 4)
        turned = jacobian.transpose(0, 2, 1)
        normal = turned @ jacobian + _DAMPING * np.eye(4, dtype=np.float32)
        step = np.linalg.solve(normal, turned @ rest)[..., 0]
        window = np.clip(window + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP), low, high)
    return window


def _cut(pictures: Floats, window: Windows) -> Floats:
    """Return the windows of (n, SIDE, SIDE, channels) pictures, sampled to the same shape."""
    take_x, _ = sampling(window[:, 0], window[:, 1])
    take_y, _ = sampling(window[:, 2], window[:, 3])
    colours = pictures.transpose(0, 3, 1, 2)
    cut = take_y[:, None] @ colours @ take_x.transpose(0, 2, 1)[:, None]
    return np.asarray(cut.transpose(0, 2, 3, 1), dtype=np.float32)


def _magnitude(differences: Floats) -> Floats:
    """Return the weighted root mean square of (n, SIDE, SIDE, 3) differences, (n,)."""
    grey = differences @ LUMA
    colour = differences - grey[..., None]
    squares = (grey**2).mean(axis=(1, 2)) + COLOUR_WEIGHT * (colour**2).mean(axis=(1, 2, 3))
    return np.asarray(np.sqrt(squares))


def _smooth(pictures: Floats) -> Floats:
    """Blur pictures with a 3 x 3 binomial kernel, against block noise and slightly moved edges."""
    wide = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    lines = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4
    return np.asarray((lines[:, :, :-2] + 2 * lines[:, :, 1:-1] + lines[:, :, 2:]) / 4)
