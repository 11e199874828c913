"""Images of one split that are in another too: as the same file, or as a copy."""

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
    """Two images of the task that are the same."""

    kind: Literal["identical", "copy", "mirrored copy"]
    difference: float


Links = dict[tuple[int, int], Link]
"""(lower index, higher index) → how they are the same."""


def links_of(matches: Matches) -> Links:
    """The pairs of a task's images as a lookup."""
    columns = (matches.first, matches.second, matches.identical, matches.mirrored, matches.difference)
    return {
        (a, b): Link("identical" if same else "mirrored copy" if mirrored else "copy", difference)
        for a, b, same, mirrored, difference in zip(*(c.tolist() for c in columns), strict=True)
    }


def identical_links(digests: Sequence[bytes]) -> Links:
    """Files of the same bytes, each linked to the first of them."""
    first: dict[bytes, int] = {}
    pairs = ((first.setdefault(digest, i), i) for i, digest in enumerate(digests))
    return {(a, b): Link("identical", 0.0) for a, b in pairs if a != b}


def duplicates_across(prints: Fingerprints, splits: Sequence[Split], *, threads: int = 2) -> Matches:
    """Pairs that may lie in two parts: of one split only those across its parts, of several any."""
    if len(splits) > 1:
        return duplicates_within(prints, threads=threads)
    parts = [part for part in splits[0] if len(part)]
    found: list[Matches] = []
    rows = np.empty((2, 0), dtype=np.int64)
    for number, part in enumerate(parts[1:], start=1):
        before = np.concatenate(parts[:number])
        matches = duplicates_between(prints.take(part), prints.take(before), threads=threads)
        found.append(matches)
        rows = np.c_[rows, np.stack([part[matches.first], before[matches.second]])]
    if not found:
        return duplicates_within(joined([]))
    return Matches(
        first=rows.min(axis=0),
        second=rows.max(axis=0),
        identical=np.concatenate([m.identical for m in found]),
        mirrored=np.concatenate([m.mirrored for m in found]),
        difference=np.concatenate([m.difference for m in found]),
        crowded=sum(m.crowded for m in found),
        looked_at=sum(m.looked_at for m in found),
    )


def comparisons(images: int, splits: Sequence[Split]) -> int:
    """How many pairs of hashes ``duplicates_across`` compares: what it costs."""
    if len(splits) > 1:
        return images**2
    train, val, test = splits[0].sizes
    return 2 * (val * train + test * (train + val))


def split_overlap(
    images: LabelledImages, splits: Sequence[Split], links: Links, limits: IntegrityLimits, examples: int
) -> IntegrityCheck:
    """The same file in two parts of a split. ``links`` are the identical ones."""
    return _check("split_overlap", images, splits, links, {}, limits, examples)


def split_near_duplicates(
    images: LabelledImages,
    splits: Sequence[Split],
    links: Links,
    limits: IntegrityLimits,
    examples: int,
    counts: dict[str, float],
) -> IntegrityCheck:
    """A copy in another part of a split that is not the same file. ``links`` are all; ``counts`` are added."""
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
    """The overlap through ``links`` beyond that through ``known``."""
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
    what = "the same file as one" if name == "split_overlap" else "a copy of one, though not the same file,"
    verdict: IntegrityVerdict = "ok"
    if affected[worst] == 0:
        sentence = f"No {reported} image is {what} in {before}."
    else:
        verdict = "failed" if shares[worst] > limits.overlap else "warning"
        of = f" of split {worst}" if len(splits) > 1 else ""
        sentence = (
            f"{affected[worst]} of {len(rows[worst])} {reported} images{of} ({100 * shares[worst]:.2f} %): each is "
            f"{what} in {before}. Remove them, or keep copies in one split."
        )
    return IntegrityCheck(
        name=name,
        verdict=verdict,
        sentence=sentence,
        counts=counts,
        examples=tuple(_examples(images, splits, rows, groups, links, examples)),
    )


def reported_part(split: Split) -> Ints:
    """The images that a result is reported on: test, or val where there is no test."""
    return split.test if len(split.test) else split.val


def _seen_part(split: Split) -> Ints:
    """The images that train or choose."""
    return np.concatenate([split.train, split.val]) if len(split.test) else split.train


def _groups(n: int, links: Links) -> Ints:
    """(n,) number of the group of images that are the same, directly or by way of others."""
    pairs = np.array(list(links), dtype=np.int64).reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _shared(groups: Ints, split: Split) -> Mask:
    """(n_reported,) bool: whether the group of a reported image has one in train or val."""
    return np.isin(groups[reported_part(split)], groups[_seen_part(split)])


def _examples(
    images: LabelledImages, splits: Sequence[Split], rows: list[Mask], groups: Ints, links: Links, most: int
) -> list[IntegrityExample]:
    """Affected images with one that they are the same as, each pair once, the first splits first."""
    found: dict[tuple[int, int], IntegrityExample] = {}
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
            # Not linked itself: the same by way of a third image.
            other = direct[0] if direct else int(seen[groups[seen] == groups[image]][0])
            pair = (min(image, other), max(image, other))
            link = links.get(pair)
            where = f"{part[other]} / {part[image]}"
            found.setdefault(
                pair,
                IntegrityExample(
                    first=images.relative_path(other),
                    second=images.relative_path(image),
                    kind="copy of a copy" if link is None else link.kind,
                    where=f"split {number}: {where}" if len(splits) > 1 else where,
                    difference=None if link is None else round(link.difference, 3),
                ),
            )
            if len(found) >= most:
                return list(found.values())[:most]
    return list(found.values())
