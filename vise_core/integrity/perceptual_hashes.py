"""Perceptual hashes: signs of the lowest DCT coefficients of a small grey image.

A hash is three words of 64 bits. Word 0 holds the horizontally even coefficients, which mirroring does not change. Word
1 holds the odd ones, and word 2 the odd ones of the mirror image, with opposite signs. So an image is compared by words
0 and 1, its mirror image by words 0 and 2.

Scaling or recompressing an image hardly changes such a hash, but cropping does. So an image is hashed in several views,
the whole and windows of it: a cropped copy is near one of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIDE = 32
"""Side of the square thumbnails, in pixels."""
WORD_BITS = 64
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
FREQUENCIES = 16
SILENCE = 4.0
"""Coefficients below this (orthonormal, grey levels) count as not positive, since compression noise would give a sign to
those that are 0 in a symmetric image. Ours, chosen on the sample images."""

_WHOLE, _START, _MIDDLE, _END, _INNER = (0.0, 1.0), (0.0, 0.95), (0.025, 0.975), (0.05, 1.0), (0.05, 0.95)
WINDOWS: npt.NDArray[np.float32] = np.array(
    [
        (*x, *y)
        for x, y in (
            (_WHOLE, _WHOLE),
            (_INNER, _INNER),
            *((x, y) for x in (_START, _MIDDLE, _END) for y in (_START, _MIDDLE, _END)),
            (_WHOLE, _START),
            (_WHOLE, _END),
            (_START, _WHOLE),
            (_END, _WHOLE),
        )
    ],
    dtype=np.float32,
)
"""(n_views, 4): left, right, top, bottom as shares of the image. View 0 is the whole."""

Bits = npt.NDArray[np.uint64]
Thumbs = npt.NDArray[np.uint8]
Windows = npt.NDArray[np.float32]


def hash_views(thumbs: Thumbs) -> Bits:
    """Return the hashes of (n, SIDE, SIDE, 3) uint8 thumbnails, (n, n_views, 3) uint64."""
    grey = thumbs.astype(np.float32) @ LUMA
    views = []
    for left, right, top, bottom in WINDOWS.tolist():
        coefficients = _window_cosines(top, bottom) @ grey @ _window_cosines(left, right).T
        even, odd = (
            coefficients[:, vertical, horizontal] for vertical, horizontal in (_lowest(0), _lowest(1))
        )
        views.append(np.stack([_word(even), _word(odd), _word(-odd)], axis=1))
    return np.stack(views, axis=1)


def sampling(start: Windows, stop: Windows) -> tuple[Windows, Windows]:
    """Return matrices that sample a line of SIDE pixels at SIDE points from start to stop, by linear interpolation.

    ``start`` and ``stop`` (n,) are shares of the line. Returns the matrices (n, SIDE, SIDE) and their derivatives by
    position in pixels. Positions outside the line get the border's value.
    """
    centres = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    at = (start[:, None] + (stop - start)[:, None] * centres) * SIDE - 0.5
    at = np.clip(at, 0, SIDE - 1)
    below = np.minimum(at.astype(np.int64), SIDE - 2)
    share = (at - below).astype(np.float32)
    row, column = np.arange(len(at))[:, None], np.arange(SIDE)[None]
    take = np.zeros((len(at), SIDE, SIDE), dtype=np.float32)
    slope = np.zeros_like(take)
    take[row, column, below], take[row, column, below + 1] = 1 - share, share
    slope[row, column, below], slope[row, column, below + 1] = -1, 1
    return take, slope


def _cosines() -> Windows:
    """Return the lowest rows of the orthonormal DCT-II, (FREQUENCIES, SIDE)."""
    k, x = np.arange(FREQUENCIES)[:, None], np.arange(SIDE) + 0.5
    basis = np.cos(np.pi * k * x / SIDE) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    single: npt.NDArray[np.float32] = basis.astype(np.float32)
    return single


def _window_cosines(start: float, stop: float) -> Windows:
    """Return the matrix of DCT coefficients of the part of a line between two shares of it, (FREQUENCIES, SIDE)."""
    take, _ = sampling(np.array([start], dtype=np.float32), np.array([stop], dtype=np.float32))
    return np.asarray(_cosines() @ take[0])


def _lowest(odd: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (vertical, horizontal) indices of the 64 lowest frequencies of a horizontal parity, without the mean."""
    order = sorted(
        (v * v + h * h, v, h) for v in range(FREQUENCIES) for h in range(odd, FREQUENCIES, 2) if v or h
    )[:WORD_BITS]
    return np.array([v for _, v, _ in order]), np.array([h for _, _, h in order])


def _word(coefficients: Windows) -> Bits:
    """Pack the signs of (n, 64) coefficients into (n,) uint64."""
    signs = np.packbits(coefficients > SILENCE, axis=1)
    return np.ascontiguousarray(signs).view(np.uint64)[:, 0]
