"""Find candidate pairs of near-duplicates: images whose hashes differ in few bits, compared block by block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .perceptual_hashes import Bits

MAX_BITS = 18
"""Bits of 128 in which a copy's hash may differ. Of copies cropped by up to 5 % a side, 99 in 100 differ in at most 15."""
NEAREST = 64
"""Most candidates per image, so that an image posted ten thousand times does not make 10⁸ pairs."""
_BLOCK_PAIRS = 320_000
"""Pairs compared at a time, so that their hashes fit a processor's cache."""
_ROWS = 512

Ints = npt.NDArray[np.int64]


class Candidates(NamedTuple):
    """Candidate pairs, each once: a window of one image has nearly the same hash as the whole other image.

    Attributes
    ----------
    first, second: (n,) int64, indices into the two sets, or into one set (first < second).
    view: (n,) int64, index into ``perceptual_hashes.WINDOWS``: the window of the larger image.
    first_is_cut: (n,) bool, True if the first image is a crop of the second.
    mirrored: (n,) bool, True if one image resembles the mirror image of the other.
    crowded: number of images with more than NEAREST candidates, of which only the nearest were kept.
    """

    first: Ints
    second: Ints
    view: Ints
    first_is_cut: npt.NDArray[np.bool_]
    mirrored: npt.NDArray[np.bool_]
    crowded: int


def candidates_within(bits: Bits, *, threads: int = 2) -> Candidates:
    """Return the pairs within MAX_BITS among n images with hashes (n, n_views, 3)."""
    (source, target, view, mirrored, distance), crowded = _search(bits, bits, threads, same=True)
    cut = source > target
    return _each_pair_once(
        np.where(cut, target, source), np.where(cut, source, target), view, cut, mirrored, distance, crowded
    )


def candidates_between(bits: Bits, others: Bits, *, threads: int = 2) -> Candidates:
    """Return the pairs within MAX_BITS between n images (n, n_views, 3) and m others (m, n_views, 3)."""
    forward, crowded = _search(bits, others, threads, same=False)
    backward, crowded_backward = _search(others, bits, threads, same=False)
    cut = np.arange(forward.shape[1] + backward.shape[1]) >= forward.shape[1]
    first, second = np.r_[forward[0], backward[1]], np.r_[forward[1], backward[0]]
    view, mirrored, distance = (np.r_[forward[row], backward[row]] for row in (2, 3, 4))
    return _each_pair_once(first, second, view, cut, mirrored, distance, crowded + crowded_backward)


def _each_pair_once(
    first: Ints,
    second: Ints,
    view: Ints,
    cut: npt.NDArray[np.bool_],
    mirrored: Ints,
    distance: Ints,
    crowded: int,
) -> Candidates:
    """Keep each pair once, in the direction of the smaller distance."""
    order = np.lexsort((cut, distance, second, first))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
    kept = order[new]
    return Candidates(first[kept], second[kept], view[kept], cut[kept], mirrored[kept].astype(bool), crowded)


def _search(sources: Bits, targets: Bits, threads: int, *, same: bool) -> tuple[Ints, int]:
    """Return rows (5, n) of source, target, view, mirrored, bits of all pairs within MAX_BITS, and the crowded count."""
    if not len(sources) or not len(targets):
        return np.empty((5, 0), dtype=np.int64), 0
    whole = tuple(np.ascontiguousarray(targets[:, 0, word]) for word in range(3))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        parts = list(pool.map(partial(_scan, sources, whole, same), range(0, len(sources), _ROWS)))
    return np.concatenate([pairs for pairs, _ in parts], axis=1), sum(crowded for _, crowded in parts)


def _scan(sources: Bits, whole: tuple[Bits, ...], same: bool, start: int) -> tuple[Ints, int]:
    """Return the (5, n) int64 rows of pairs of one block of sources, and their crowded count."""
    block = sources[start : start + _ROWS]
    parts = [np.empty((5, 0), dtype=np.int64)]
    rows = max(1, _BLOCK_PAIRS // max(1, len(whole[0])))
    for first in range(0, len(block), rows):
        part = block[first : first + rows]
        pairs = np.concatenate(
            [_compare(part[:, view], whole, view) for view in range(block.shape[1])], axis=1
        )
        pairs[0] += start + first
        if same:
            pairs = pairs[:, pairs[0] != pairs[1]]
        parts.append(_best_of_each_pair(pairs))
    return _nearest(np.concatenate(parts, axis=1))


def _compare(rows: Bits, whole: tuple[Bits, ...], view: int) -> Ints:
    # The even word alone is a lower bound for both orientations, and rules out 99 of 100 pairs.
    even = np.bitwise_count(rows[:, 0, None] ^ whole[0])
    flat = np.flatnonzero(even <= MAX_BITS)
    source, target = np.divmod(flat, len(whole[0]))
    plain = np.bitwise_count(rows[source, 1] ^ whole[1][target])
    mirror = np.bitwise_count(rows[source, 1] ^ whole[2][target])
    bits = even.ravel()[flat].astype(np.int64) + np.minimum(plain, mirror)
    near = bits <= MAX_BITS
    return np.stack([source, target, np.full_like(source, view), mirror < plain, bits]).astype(np.int64)[
        :, near
    ]


def _best_of_each_pair(pairs: Ints) -> Ints:
    source, target, view, _, bits = pairs
    pairs = pairs[:, np.lexsort((view, bits, target, source))]
    first = np.ones(pairs.shape[1], dtype=bool)
    first[1:] = (np.diff(pairs[0]) != 0) | (np.diff(pairs[1]) != 0)
    return pairs[:, first]


def _nearest(pairs: Ints) -> tuple[Ints, int]:
    """Keep the NEAREST targets of each source, by bits, then by index; also return the crowded count."""
    source, target, _, _, bits = pairs
    pairs = pairs[:, np.lexsort((target, bits, source))]
    starts = np.flatnonzero(np.r_[True, np.diff(pairs[0]) != 0]) if pairs.shape[1] else np.empty(0, np.int64)
    counts = np.diff(np.r_[starts, pairs.shape[1]])
    rank = np.arange(pairs.shape[1]) - np.repeat(starts, counts)
    return pairs[:, rank < NEAREST], int((counts > NEAREST).sum())
