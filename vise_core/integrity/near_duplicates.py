"""Which images are the same: by the bytes of their files, or as a copy resized, recompressed, cut or mirrored.

Hashes propose pairs, the closer look decides. Images that are the same byte for byte are looked at once and linked to
the first of their kind.
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
    """m pairs of images that are the same.

    Attributes
    ----------
    first, second: (m,) int64, indices into the one set (first < second) or into the two; sorted, each pair once.
    identical: (m,) bool, True where the files are the same byte for byte.
    mirrored: (m,) bool, True where one is the mirror image of the other.
    difference: (m,) float32, grey levels that differ once laid upon each other; 0 where identical.
    crowded: images with so many look-alikes that only the nearest were looked at.
    looked_at: pairs that had the closer look.
    """

    first: Ints
    second: Ints
    identical: npt.NDArray[np.bool_]
    mirrored: npt.NDArray[np.bool_]
    difference: npt.NDArray[np.float32]
    crowded: int = 0
    looked_at: int = 0

    def __len__(self) -> int:
        return len(self.first)


def duplicates_within(prints: Fingerprints, *, threads: int = 2) -> Matches:
    """Pairs within one set. Of k files of the same bytes, k - 1 pairs come back: each with the first of them."""
    everyone = np.arange(len(prints))
    origin = _first_of_its_kind(prints)
    repeats = np.flatnonzero(origin != everyone)
    single = np.flatnonzero((origin == everyone) & prints.comparable)
    unique = prints.take(single)
    found = candidates_within(unique.bits, threads=threads)
    tiny = unique.tiny[found.first] | unique.tiny[found.second]
    alike = compare(unique.thumbs, unique.thumbs, found, tiny, threads=threads)
    return _matches((origin[repeats], repeats), single[found.first], single[found.second], found, alike)


def duplicates_between(prints: Fingerprints, others: Fingerprints, *, threads: int = 2) -> Matches:
    """Pairs of an image of ``prints`` (first) and one of ``others`` (second), whichever of the two was cut.

    All pairs of files of the same bytes come back. For very many ``others``, call it for a part at a time.
    """
    left, right = np.flatnonzero(prints.comparable), np.flatnonzero(others.comparable)
    ours, theirs = prints.take(left), others.take(right)
    found = candidates_between(ours.bits, theirs.bits, threads=threads)
    tiny = ours.tiny[found.first] | theirs.tiny[found.second]
    alike = compare(ours.thumbs, theirs.thumbs, found, tiny, threads=threads)
    return _matches(_same_bytes(prints, others), left[found.first], right[found.second], found, alike)


def _matches(
    identical: tuple[Ints, Ints], first: Ints, second: Ints, found: Candidates, alike: Likeness
) -> Matches:
    """Identical pairs and copies together; a pair that is both is identical."""
    copies = np.flatnonzero(alike.copies)
    same = len(identical[0])
    a, b = np.r_[identical[0], first[copies]], np.r_[identical[1], second[copies]]
    is_same = np.arange(len(a)) < same
    mirrored = np.r_[np.zeros(same, dtype=bool), found.mirrored[copies]]
    difference = np.r_[np.zeros(same, dtype=np.float32), alike.difference[copies]]
    order = np.lexsort((~is_same, b, a))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(a[order]) != 0) | (np.diff(b[order]) != 0)
    kept = order[new]
    return Matches(
        a[kept], b[kept], is_same[kept], mirrored[kept], difference[kept], found.crowded, len(first)
    )


def _first_of_its_kind(prints: Fingerprints) -> Ints:
    """(n,) index of the first image with the same bytes."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(key, i) for i, key in enumerate(prints.keys())], dtype=np.int64)


def _same_bytes(prints: Fingerprints, others: Fingerprints) -> tuple[Ints, Ints]:
    where: dict[bytes, list[int]] = {}
    for i, key in enumerate(prints.keys()):
        where.setdefault(key, []).append(i)
    pairs = [(i, j) for j, key in enumerate(others.keys()) for i in where.get(key, ())]
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]
