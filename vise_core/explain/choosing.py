"""Choose the images of a labelled data set that are explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vise_core.errors import BadInput
from vise_core.models.classifier import ImageClassifier
from vise_core.reporter import Reporter
from vise_core.tasks import LabelledImages


def choose_images(images: LabelledImages, candidates: Sequence[int], limit: int, seed: int) -> list[int]:
    """Return up to ``limit`` candidates: one of each class in turn, at random within a class."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(np.array(candidates, dtype=np.int64))
    turn: dict[int, int] = {}
    ranked = []
    for index in order.tolist():
        label = int(images.labels[index])
        turn[label] = turn.get(label, -1) + 1
        ranked.append((turn[label], label, index))
    return [index for _, _, index in sorted(ranked)[:limit]]


def held_out_images(classifier: ImageClassifier, images: LabelledImages) -> list[int] | None:
    """Return the indices of the images that the predictor lists as held out; None if it lists none of them."""
    held_out = set(classifier.metadata.get("held_out") or ())
    return [i for i in range(len(images)) if images.relative_path(i) in held_out] or None


def candidates(classifier: ImageClassifier, images: LabelledImages, reporter: Reporter) -> list[int]:
    """Return the images to explain: the held-out ones if the predictor lists them, else all, with a warning."""
    held_out = held_out_images(classifier, images)
    if held_out is not None:
        reporter.log(f"{len(held_out)} images that the predictor was not trained on; explaining only these")
        return held_out
    reporter.log(
        "the predictor does not say which of these images it was trained on: the accuracy may be training accuracy",
        level="warning",
    )
    return list(range(len(images)))


def unseen_by_all(classifiers: Mapping[str, ImageClassifier], images: LabelledImages) -> list[int]:
    """Return the images that no predictor (by role) was trained or selected on.

    Raises BadInput if a predictor does not list its held-out images, or if no image is left.
    """
    kept = set(range(len(images)))
    for role, classifier in classifiers.items():
        held_out = held_out_images(classifier, images)
        if held_out is None:
            raise BadInput(
                f"{role}: {classifier.metadata.get('method') or 'the predictor'} does not say which of these images "
                "it was not trained on; turn unseen_only off to show any image"
            )
        kept &= set(held_out)
    if not kept:
        raise BadInput(
            "no image is unseen by all predictors: they were evaluated on different splits; give them the same "
            "splits, or turn unseen_only off"
        )
    return sorted(kept)


def check_classes(classifier: ImageClassifier, images: LabelledImages, role: str = "the predictor") -> None:
    """Raise BadInput if the data set has a class that the classifier does not have."""
    unknown = set(images.classes) - set(classifier.classes)
    if unknown:
        raise BadInput(
            f"{role} has no class {', '.join(sorted(unknown))}; its classes are {', '.join(classifier.classes)}"
        )
