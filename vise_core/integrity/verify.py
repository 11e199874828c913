"""The closer look: lay one small picture on the other, and measure what is left over.

Images of one kind have hashes that are near: the same dog on the same beach, the same form of a meme. What tells a
copy is that, once the cut is undone, hardly any difference remains in any colour.
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
"""Grey levels (root mean square, colour counted a quarter) that may remain. Chosen on sample images of 64 pixels: among
20,000 the nearest two that are no copies are 4.3 apart; 99 in 100 copies that were resized, recompressed, cut by 5 % or
mirrored stay below 3, and below 3.5 where all of that was done to them."""
MAX_DIFFERENCE_TINY = 5.5
"""The same where one of the two is tiny: compression takes more from it."""
TINY = 48
"""Images with a shorter side of fewer pixels are tiny."""
MAX_RELATIVE = 0.2
"""Share of the image's own contrast that may remain: a pale image is not a copy of every other pale image."""
MIN_CONTRAST = 4.0
"""Images whose small picture varies less (grey levels, standard deviation) show nothing to compare."""
_HOPELESS = 16.0
_HOPELESS_RELATIVE = 0.4
"""Difference before fitting (grey levels, and share of the contrast) from which no fitting leads to a copy."""
COLOUR_WEIGHT = 0.25
"""JPEG keeps colour at half the resolution and coarsely: differences of colour say less than those of brightness."""
_STEPS = 6
_LARGEST_STEP = 0.03
_SLACK = 0.02
_SMALLEST = 0.86
_DAMPING = 1e3
_CHUNK = 512

Floats = npt.NDArray[np.float32]


class Likeness(NamedTuple):
    """How alike pairs are: ``difference`` (n,) float32 in grey levels, inf where hopeless; ``copies`` (n,) bool."""

    difference: Floats
    copies: npt.NDArray[np.bool_]


def contrast(thumbs: Thumbs | Floats) -> Floats:
    """(n,) float32: standard deviation over the picture, root mean square over colours."""
    values = np.empty(len(thumbs), dtype=np.float32)
    for start in range(0, len(thumbs), _CHUNK):
        part = _smooth(thumbs[start : start + _CHUNK].astype(np.float32))
        values[start : start + _CHUNK] = np.sqrt(part.var(axis=(1, 2)).mean(axis=-1))
    return values


def compare(
    thumbs: Thumbs, others: Thumbs, found: Candidates, tiny: npt.NDArray[np.bool_], *, threads: int = 2
) -> Likeness:
    """The closer look at pairs of ``thumbs`` (n, SIDE, SIDE, 3) and ``others`` (m, SIDE, SIDE, 3).

    ``tiny`` says for each pair whether one of the two images is.
    """
    parts = [slice(start, start + _CHUNK) for start in range(0, len(found.first), _CHUNK)]
    with ThreadPoolExecutor(max(1, threads)) as pool:
        rows = list(pool.map(partial(_differences, thumbs, others, found), parts))
    difference, relative = np.concatenate(rows, axis=1) if rows else np.empty((2, 0), dtype=np.float32)
    allowed = np.where(tiny, MAX_DIFFERENCE_TINY, MAX_DIFFERENCE)
    return Likeness(difference, (difference <= allowed) & (relative <= MAX_RELATIVE))


def _differences(thumbs: Thumbs, others: Thumbs, found: Candidates, part: slice) -> Floats:
    """(2, n) difference, and that as a share of the contrast; inf where there is no hope."""
    one, two = thumbs[found.first[part]], others[found.second[part]]
    cut = found.first_is_cut[part, None, None, None]
    source, target = np.where(cut, two, one), np.where(cut, one, two)
    target = np.where(found.mirrored[part, None, None, None], target[:, :, ::-1], target)
    grey, wanted = source @ LUMA, target @ LUMA
    window = WINDOWS[found.view[part]]
    apart = np.sqrt(((_cut(grey[..., None], window)[..., 0] - wanted) ** 2).mean(axis=(1, 2)))
    hopeful = np.flatnonzero(apart <= np.maximum(_HOPELESS, _HOPELESS_RELATIVE * wanted.std(axis=(1, 2))))
    rows = np.full((2, len(source)), np.inf, dtype=np.float32)
    if len(hopeful):
        source, target = source[hopeful].astype(np.float32), target[hopeful].astype(np.float32)
        window = fit_windows(grey[hopeful], wanted[hopeful], window[hopeful])
        left = _left_over(_smooth(_smooth(_cut(source, window) - target)))
        rows[:, hopeful] = left, left / np.maximum(contrast(target), 1e-6)
    return rows


def fit_windows(source: Floats, target: Floats, window: Windows) -> Windows:
    """The windows (n, 4) of the sources in which they fit the targets best, from a first guess (Gauss-Newton).

    Source and target are grey, (n, SIDE, SIDE). Windows stay within what a cut of 5 % a side can be.
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
    """The windows of (n, SIDE, SIDE, 3) pictures, sampled to (n, SIDE, SIDE, 3)."""
    take_x, _ = sampling(window[:, 0], window[:, 1])
    take_y, _ = sampling(window[:, 2], window[:, 3])
    colours = pictures.transpose(0, 3, 1, 2)
    cut = take_y[:, None] @ colours @ take_x.transpose(0, 2, 1)[:, None]
    return np.asarray(cut.transpose(0, 2, 3, 1), dtype=np.float32)


def _left_over(rest: Floats) -> Floats:
    """(n,) of (n, SIDE, SIDE, 3) differences."""
    grey = rest @ LUMA
    colour = rest - grey[..., None]
    squares = (grey**2).mean(axis=(1, 2)) + COLOUR_WEIGHT * (colour**2).mean(axis=(1, 2, 3))
    return np.asarray(np.sqrt(squares))


def _smooth(pictures: Floats) -> Floats:
    """Binomial blur over three pixels each way: what is left is neither block noise nor an edge moved by a hair."""
    wide = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    lines = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4
    return np.asarray((lines[:, :, :-2] + 2 * lines[:, :, 1:-1] + lines[:, :, 2:]) / 4)
