"""Check the balance of class labels and of pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2_contingency

from vise_core.engagement.explore.agreement import normalised_entropy
from vise_core.formats.labels import label_batches, read_label_facts
from vise_core.specs.integrity import IntegrityCheck, IntegrityExample, IntegrityLimits, IntegrityVerdict
from vise_core.tasks import LabelledImages, Split

CHANCE = 0.01
"""Significance level of the test that train and the reported part have the same class shares."""
Counts = npt.NDArray[np.int64]


def label_balance(
    images: LabelledImages, splits: Sequence[Split], limits: IntegrityLimits, examples: int
) -> IntegrityCheck:
    """Check class imbalance in train, and the shift of class shares between train and the reported part.

    The worst split decides. The count ``majority`` is the majority-class accuracy: the share of the largest class in
    the reported part (test, or val without a test part), as a mean over splits.
    """
    failed: list[IntegrityExample] = []
    warned: list[IntegrityExample] = []
    imbalances, shifts, majorities, entropies = [], [], [], []
    for number, split in enumerate(splits):
        part = "test" if len(split.test) else "val"
        train = _class_counts(images, split.train)
        reported = _class_counts(images, split.test if len(split.test) else split.val)
        for name, count in zip(images.classes, train.tolist(), strict=True):
            if count == 0:
                failed.append(IntegrityExample(first=name, kind="no training image", where=f"split {number}"))
        for name, count in zip(images.classes, reported.tolist(), strict=True):
            if count == 0:
                warned.append(IntegrityExample(first=name, kind=f"no {part} image", where=f"split {number}"))
        if (reported > 0).sum() < 2:
            failed.append(IntegrityExample(first=part, kind="one class only", where=f"split {number}"))
        imbalances.append(float(train.max() / train.min()) if train.min() else float("inf"))
        shifts.append(_shift(train, reported, tests=len(splits)))
        majorities.append(float(reported.max() / max(1, reported.sum())))
        entropies.append(normalised_entropy(train))
    counts = {
        "classes": float(len(images.classes)),
        "smallest_class": float(np.bincount(images.labels, minlength=len(images.classes)).min()),
        "largest_class": float(np.bincount(images.labels, minlength=len(images.classes)).max()),
        "normalised_entropy": min(entropies),
        "shift": max(shifts),
        # A mean over splits, as the accuracy that it is compared with.
        "majority": float(np.mean(majorities)),
    }
    if max(imbalances) < float("inf"):
        counts["imbalance"] = max(imbalances)
    over = "" if len(splits) == 1 else f", mean over {len(splits)} splits"
    chance = f"majority-class accuracy {100 * counts['majority']:.1f} %{over}"
    verdict: IntegrityVerdict = "ok"
    if failed:
        verdict, sentence = "failed", f"{failed[0].first}: {failed[0].kind} in {failed[0].where}; {chance}."
    elif max(imbalances) > limits.imbalance:
        verdict = "warning"
        sentence = f"The largest class in train has {max(imbalances):.1f} times as many images as the smallest; {chance}."
    elif warned:
        verdict, sentence = "warning", f"{warned[0].first}: {warned[0].kind} in {warned[0].where}; {chance}."
    elif max(shifts) > limits.shift:
        verdict = "warning"
        sentence = (
            f"Class shares in train and in the reported part differ by {100 * max(shifts):.1f} %; {chance}."
        )
    else:
        sentence = f"{len(images.classes)} classes, at most {max(imbalances):.1f} to 1 in train; {chance}."
    return IntegrityCheck(
        name="label_balance",
        verdict=verdict,
        sentence=sentence,
        counts=counts,
        examples=tuple((failed + warned)[:examples]),
    )


def _shift(train: Counts, reported: Counts, tests: int) -> float:
    """Return the total variation distance between class shares, or 0 if it is not significant.

    The test is chi² with Bonferroni correction, since a small random test set always differs a little.
    """
    table = np.stack([train, reported])[:, train + reported > 0]
    if table.shape[1] < 2 or chi2_contingency(table, correction=False).pvalue * tests > CHANCE:
        return 0.0
    return float(np.abs(train / train.sum() - reported / reported.sum()).sum() / 2)


def pretraining_balance(labels: Path, limits: IntegrityLimits, examples: int) -> IntegrityCheck:
    """Check how the pseudo-labels are distributed over the clusters."""
    facts = read_label_facts(labels)
    comments = np.zeros(facts.comment_clusters, dtype=np.int64)
    reactions = np.zeros(facts.reaction_clusters, dtype=np.int64)
    for batch in label_batches(labels):
        comments += _cluster_counts(batch["comment_labels"].flatten(), len(comments))
        reactions += _cluster_counts(batch["reaction_label"].drop_null(), len(reactions))
    counts: dict[str, float] = {}
    too_large: list[IntegrityExample] = []
    parts: list[str] = []
    for name, clusters in (("comments", comments), ("reactions", reactions)):
        if not clusters.sum():
            continue
        largest = float(clusters.max() / clusters.sum())
        counts |= {
            f"{name}_clusters": float(len(clusters)),
            f"{name}_used": float((clusters > 0).sum()),
            f"{name}_largest": largest,
            f"{name}_normalised_entropy": normalised_entropy(clusters),
        }
        parts.append(
            f"{name} use {(clusters > 0).sum()} of {len(clusters)} clusters, the largest holds {100 * largest:.1f} %"
        )
        if largest > limits.largest_cluster:
            too_large.append(
                IntegrityExample(
                    first=f"{name} cluster {int(clusters.argmax())}",
                    kind=f"{100 * largest:.1f} % of the labels",
                )
            )
    if not parts:
        return IntegrityCheck(
            name="pretraining_balance",
            verdict="failed",
            sentence="No post has a label: run the stage label again.",
            counts={},
        )
    sentence = "; ".join(parts) + "."
    return IntegrityCheck(
        name="pretraining_balance",
        verdict="warning" if too_large else "ok",
        sentence=sentence[0].upper() + sentence[1:],
        counts=counts,
        examples=tuple(too_large[:examples]),
    )


def _class_counts(images: LabelledImages, rows: npt.NDArray[np.int64]) -> Counts:
    return np.bincount(images.labels[rows], minlength=len(images.classes)).astype(np.int64)


def _cluster_counts(column: object, clusters: int) -> Counts:
    ids = np.asarray(column, dtype=np.int64)
    return np.bincount(ids, minlength=clusters)[:clusters].astype(np.int64)
