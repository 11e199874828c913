"""Find duplicate images: files of the same bytes, and copies that were resized, recompressed, cropped or mirrored.

Hashes propose pairs (``candidates``) and a comparison of thumbnails decides (``verify``). Files of the same bytes are
compared with others once and linked to the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .candidates import Candidates, candidates_between, candidates_within
from .fingerprints import Fingerprints
from .verify import Likeness, compare

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Matches:
    """m pairs of duplicate images.

    Attributes
    ----------
    first, second: (m,) int64, indices into one set (first < second) or into two; sorted, each pair once.
    identical: (m,) bool, True if the files have the same bytes.
    mirrored: (m,) bool, True if one is the mirror image of the other.
    difference: (m,) float32, remaining difference after alignment in grey levels; 0 if identical.
    crowded: number of images with so many candidates that only the nearest were verified.
    verified: number of pairs whose thumbnails were compared.
    """

    first: Ints
    second: Ints
    identical: npt.NDArray[np.bool_]
    mirrored: npt.NDArray[np.bool_]
    difference: npt.NDArray[np.float32]
    crowded: int = 0
    verified: int = 0

    def __len__(self) -> int:
        return len(self.first)


def duplicates_within(prints: Fingerprints, *, threads: int = 2) -> Matches:
    """Return the duplicates within one set. Of k files of the same bytes, each but the first is paired with the first."""
    rows = np.arange(len(prints))
    origin = _first_of_its_kind(prints)
    repeats = np.flatnonzero(origin != rows)
    single = np.flatnonzero((origin == rows) & prints.comparable)
    unique = prints.take(single)
    pairs = candidates_within(unique.bits, threads=threads)
    tiny = unique.tiny[pairs.first] | unique.tiny[pairs.second]
    likeness = compare(unique.thumbs, unique.thumbs, pairs, tiny, threads=threads)
    return _matches((origin[repeats], repeats), single[pairs.first], single[pairs.second], pairs, likeness)


def duplicates_between(prints: Fingerprints, others: Fingerprints, *, threads: int = 2) -> Matches:
    """Return the duplicates between ``prints`` (first) and ``others`` (second), whichever of the two was cropped.

    All pairs of files of the same bytes are included. For very many ``others``, call it for a part at a time.
    """
    left, right = np.flatnonzero(prints.comparable), np.flatnonzero(others.comparable)
    ours, theirs = prints.take(left), others.take(right)
    pairs = candidates_between(ours.bits, theirs.bits, threads=threads)
    tiny = ours.tiny[pairs.first] | theirs.tiny[pairs.second]
    likeness = compare(ours.thumbs, theirs.thumbs, pairs, tiny, threads=threads)
    return _matches(_same_bytes(prints, others), left[pairs.first], right[pairs.second], pairs, likeness)


def _matches(
    identical: tuple[Ints, Ints], first: Ints, second: Ints, pairs: Candidates, likeness: Likeness
) -> Matches:
    """Join identical pairs and copies; a pair that is both is identical."""
    copies = np.flatnonzero(likeness.copies)
    same = len(identical[0])
    a, b = np.r_[identical[0], first[copies]], np.r_[identical[1], second[copies]]
    is_same = np.arange(len(a)) < same
    mirrored = np.r_[np.zeros(same, dtype=bool), pairs.mirrored[copies]]
    difference = np.r_[np.zeros(same, dtype=np.float32), likeness.difference[copies]]
    order = np.lexsort((~is_same, b, a))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(a[order]) != 0) | (np.diff(b[order]) != 0)
    kept = order[new]
    return Matches(
        a[kept], b[kept], is_same[kept], mirrored[kept], difference[kept], pairs.crowded, len(first)
    )


def _first_of_its_kind(prints: Fingerprints) -> Ints:
    """Return the index of the first image with the same bytes, (n,) int64."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(key, i) for i, key in enumerate(prints.keys())], dtype=np.int64)


def _same_bytes(prints: Fingerprints, others: Fingerprints) -> tuple[Ints, Ints]:
    rows_of: dict[bytes, list[int]] = {}
    for i, key in enumerate(prints.keys()):
        rows_of.setdefault(key, []).append(i)
    pairs = [(i, j) for j, key in enumerate(others.keys()) for i in rows_of.get(key, ())]
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]
