"""Check for images that two parts of a split share, as the same file or as a copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from vise_core.specs.integrity import (
    CheckName,
    IntegrityCheck,
    IntegrityExample,
    IntegrityLimits,
    IntegrityVerdict,
)
from vise_core.tasks import LabelledImages, Split

from .fingerprints import Fingerprints, joined
from .near_duplicates import Matches, duplicates_between, duplicates_within

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Link(NamedTuple):
    """How two images of the task are duplicates; ``difference`` is in grey levels."""

    kind: Literal["identical", "copy", "mirrored copy"]
    difference: float


Links = dict[tuple[int, int], Link]
"""(lower index, higher index) of two images → how they are duplicates."""


def links_of(matches: Matches) -> Links:
    """Return the pairs of a task's images as a dictionary."""
    columns = (matches.first, matches.second, matches.identical, matches.mirrored, matches.difference)
    return {
        (a, b): Link("identical" if same else "mirrored copy" if mirrored else "copy", difference)
        for a, b, same, mirrored, difference in zip(*(c.tolist() for c in columns), strict=True)
    }


def identical_links(digests: Sequence[bytes]) -> Links:
    """Return the files of the same bytes, each linked to the first of them."""
    first: dict[bytes, int] = {}
    pairs = ((first.setdefault(digest, i), i) for i, digest in enumerate(digests))
    return {(a, b): Link("identical", 0.0) for a, b in pairs if a != b}


def duplicates_across(prints: Fingerprints, splits: Sequence[Split], *, threads: int = 2) -> Matches:
    """Return the duplicates across the parts of one split, or all duplicates if there are several splits."""
    if len(splits) > 1:
        return duplicates_within(prints, threads=threads)
    parts = [part for part in splits[0] if len(part)]
    per_part: list[Matches] = []
    rows = np.empty((2, 0), dtype=np.int64)
    for number, part in enumerate(parts[1:], start=1):
        before = np.concatenate(parts[:number])
        matches = duplicates_between(prints.take(part), prints.take(before), threads=threads)
        per_part.append(matches)
        rows = np.c_[rows, np.stack([part[matches.first], before[matches.second]])]
    if not per_part:
        return duplicates_within(joined([]))
    return Matches(
        first=rows.min(axis=0),
        second=rows.max(axis=0),
        identical=np.concatenate([m.identical for m in per_part]),
        mirrored=np.concatenate([m.mirrored for m in per_part]),
        difference=np.concatenate([m.difference for m in per_part]),
        crowded=sum(m.crowded for m in per_part),
        verified=sum(m.verified for m in per_part),
    )


def comparisons(images: int, splits: Sequence[Split]) -> int:
    """Return the number of pairs of hashes that ``duplicates_across`` compares."""
    if len(splits) > 1:
        return images**2
    train, val, test = splits[0].sizes
    return 2 * (val * train + test * (train + val))


def split_overlap(
    images: LabelledImages, splits: Sequence[Split], links: Links, limits: IntegrityLimits, examples: int
) -> IntegrityCheck:
    """Check for the same file in two parts of a split. ``links`` are the identical files."""
    return _check("split_overlap", images, splits, links, {}, limits, examples)


def split_near_duplicates(
    images: LabelledImages,
    splits: Sequence[Split],
    links: Links,
    limits: IntegrityLimits,
    examples: int,
    counts: dict[str, float],
) -> IntegrityCheck:
    """Check for copies, other than the same file, in two parts of a split.

    ``links`` are all duplicates, identical files included; ``counts`` are added to those of the check.
    """
    identical = {pair: link for pair, link in links.items() if link.kind == "identical"}
    check = _check("split_near_duplicates", images, splits, links, identical, limits, examples)
    return check.model_copy(update={"counts": check.counts | counts})


def _check(
    name: CheckName,
    images: LabelledImages,
    splits: Sequence[Split],
    links: Links,
    known: Links,
    limits: IntegrityLimits,
    examples: int,
) -> IntegrityCheck:
    """Check for overlap through ``links`` that is not already overlap through ``known``."""
    groups, known_groups = _groups(len(images), links), _groups(len(images), known)
    rows = [_shared(groups, split) & ~_shared(known_groups, split) for split in splits]
    reported = "test" if len(splits[0].test) else "val"
    before = "train or val" if reported == "test" else "train"
    affected = [int(row.sum()) for row in rows]
    shares = [count / max(1, len(row)) for count, row in zip(affected, rows, strict=True)]
    worst = int(np.argmax(shares))
    counts = {
        "images": float(len(images)),
        "splits": float(len(splits)),
        "affected": float(affected[worst]),
        "reported": float(len(rows[worst])),
        "share": shares[worst],
        "share_mean": float(np.mean(shares)),
        "conflicting_labels": float(
            sum(images.labels[a] != images.labels[b] for a, b in links if (a, b) not in known)
        ),
    }
    duplicate = (
        "the same file as one" if name == "split_overlap" else "a copy of one, though not the same file,"
    )
    verdict: IntegrityVerdict = "ok"
    if affected[worst] == 0:
        sentence = f"No {reported} image is {duplicate} in {before}."
    else:
        verdict = "failed" if shares[worst] > limits.overlap else "warning"
        of = f" of split {worst}" if len(splits) > 1 else ""
        sentence = (
            f"{affected[worst]} of {len(rows[worst])} {reported} images{of} ({100 * shares[worst]:.2f} %): each is "
            f"{duplicate} in {before}. Remove them, or keep copies in one split."
        )
    return IntegrityCheck(
        name=name,
        verdict=verdict,
        sentence=sentence,
        counts=counts,
        examples=tuple(_examples(images, splits, rows, groups, links, examples)),
    )


def reported_part(split: Split) -> Ints:
    """Return the indices of the images that a result is reported on, (n,) int64: test, or val if there is no test part."""
    return split.test if len(split.test) else split.val


def _seen_part(split: Split) -> Ints:
    """Return the images that are used for training or model selection."""
    return np.concatenate([split.train, split.val]) if len(split.test) else split.train


def _groups(n: int, links: Links) -> Ints:
    """Return the group number of each image, (n,): duplicates, directly or through others, share a group."""
    pairs = np.array(list(links), dtype=np.int64).reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _shared(groups: Ints, split: Split) -> Mask:
    """Return (n_reported,) bool, True if a duplicate of the reported image is in train or val."""
    return np.isin(groups[reported_part(split)], groups[_seen_part(split)])


def _examples(
    images: LabelledImages, splits: Sequence[Split], rows: list[Mask], groups: Ints, links: Links, most: int
) -> list[IntegrityExample]:
    """Return affected images, each with one of its duplicates, in the order of splits; each pair once."""
    pairs: dict[tuple[int, int], IntegrityExample] = {}
    partners: dict[int, list[int]] = {}
    for a, b in links:
        partners.setdefault(a, []).append(b)
        partners.setdefault(b, []).append(a)
    for number, (split, row) in enumerate(zip(splits, rows, strict=True)):
        part = {
            int(i): name for name, rows_ in zip(("train", "val", "test"), split, strict=True) for i in rows_
        }
        seen = _seen_part(split)
        for image in reported_part(split)[row].tolist():
            direct = [i for i in partners.get(image, ()) if part.get(i, part[image]) != part[image]]
            # Without a direct link, it is a duplicate through a third image.
            other = direct[0] if direct else int(seen[groups[seen] == groups[image]][0])
            pair = (min(image, other), max(image, other))
            link = links.get(pair)
            where = f"{part[other]} / {part[image]}"
            pairs.setdefault(
                pair,
                IntegrityExample(
                    first=images.relative_path(other),
                    second=images.relative_path(image),
                    kind="copy of a copy" if link is None else link.kind,
                    where=f"split {number}: {where}" if len(splits) > 1 else where,
                    difference=None if link is None else round(link.difference, 3),
                ),
            )
            if len(pairs) >= most:
                return list(pairs.values())[:most]
    return list(pairs.values())
