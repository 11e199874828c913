"""Metrics of the downstream tasks. Accuracies are in percent, ROC AUC lies in [0, 1] as the paper prints it.

A metric is NaN where any score is not finite: a network that diverged has no accuracy, and is never chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from vise_core.errors import BadInput

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.floating]


def accuracy(scores: Scores, labels: Labels) -> float:
    """Return the share of images whose highest score is that of their class, percent.

    ``scores`` (n, classes), ``labels`` (n,). Of equal scores the first class counts, as in argmax.
    NaN where a score is not finite. Raises BadInput for no images.
    """
    _require_images(labels)
    if not are_finite(scores):
        return math.nan
    return 100 * np.count_nonzero(scores.argmax(axis=1) == labels) / len(labels)


def top_k(scores: Scores, labels: Labels, k: int) -> float:
    """Return the share of images whose class is among the k highest scores, percent; ties go to the first class.

    NaN where a score is not finite.
    """
    _require_images(labels)
    if not are_finite(scores):
        return math.nan
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(100 * (best == labels[:, None]).any(axis=1).mean())


def macro_roc_auc(scores: Scores, labels: Labels) -> float:
    """Return the area under the ROC curve of each class against the rest, averaged over classes.

    ``scores`` (n, classes) are probabilities or their log-odds: decisions have no order, and a single column of
    logits does not rank images, since softmax depends on their differences. NaN where a score is not finite.
    Raises BadInput where a class has no image in this split: then there is no curve, and 0.5 would be wrong
    (method 7, trap 7).
    """
    _require_images(labels)
    if not are_finite(scores):
        return math.nan
    classes = scores.shape[1]
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise BadInput(
            f"ROC AUC is not defined here: of {classes} classes, {', '.join(map(str, missing))} has no image "
            "in this split; use another split or metric"
        )
    from sklearn.metrics import roc_auc_score  # slow to import, and accuracy does not need it

    return float(np.mean([roc_auc_score(labels == c, scores[:, c]) for c in range(classes)]))


def measure(names: Iterable[str], logits: Scores, labels: Labels) -> dict[str, float]:
    """Return {metric: value} of logits (n, classes) for names of ``specs.tasks.metrics.METRICS``; NaN where undefined."""
    return {name: MEASURES[name](logits, labels) for name in names}


def log_odds(logits: Scores) -> npt.NDArray[np.float64]:
    """Return log(p / (1 - p)) of each softmax probability, (n, classes) float64, in the order of the probabilities.

    Probabilities near 1 tie in floating point, and a tie counts as half an error; their log-odds do not tie.
    A row with a logit that is not finite is NaN.
    """
    wide = logits.astype(np.float64)
    diverged = ~np.isfinite(wide).all(axis=1)
    wide[diverged] = 0
    others = [logsumexp(np.delete(wide, c, axis=1), axis=1) for c in range(wide.shape[1])]
    odds: npt.NDArray[np.float64] = wide - np.stack(others, axis=1)
    odds[diverged] = np.nan
    return odds


def are_finite(scores: Scores) -> bool:
    """Return whether no score is NaN or infinite."""
    return bool(np.isfinite(scores).all())


MEASURES: dict[str, Callable[[Scores, Labels], float]] = {
    "accuracy": accuracy,
    "top1": accuracy,
    "top5": partial(top_k, k=5),
    "roc_auc": lambda logits, labels: macro_roc_auc(log_odds(logits), labels),
}
"""Functions of logits (n, classes) and labels (n,) by name, for every metric of ``specs.tasks.metrics.METRICS``."""


def _require_images(labels: Labels) -> None:
    if not len(labels):
        raise BadInput("no images to score: the split is empty")
